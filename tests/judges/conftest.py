"""Exports of every case, once a session, and what the judges of other tools say of them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.export.samples import unzip, written
from tests.judges.cases import CASES, annotated
from tests.judges.environment import judges_python

_HERE = Path(__file__).parent
DATA_SETS = ("coco", "coco_results", "yolo", "voc", "labelme", "createml", "label_studio", "cvat", "hocr", "alto")


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of unpacked archives: `<case>/<format>`."""
    folder = tmp_path_factory.mktemp("exports")
    for case in CASES:
        for format_id in DATA_SETS:
            unzip(written(annotated(case), format_id), folder / case / format_id)
    return folder


@pytest.fixture(scope="session")
def verdicts(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each reader of `read.py` read of each case; a text where it failed."""
    report = tmp_path_factory.mktemp("report") / "report.json"
    ran = subprocess.run(
        [judges_python(), _HERE / "read.py", exports, report],
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert ran.returncode == 0, ran.stderr
    whole: dict[str, dict[str, Any]] = json.loads(report.read_text())
    return whole
