"""Exports of every case, once a session, and what the judges of other tools say of them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.export.samples import unzip, written
from tests.judges.cases import CASES, annotated

_HERE = Path(__file__).parent
_ENVIRONMENT = _HERE.parents[1] / ".venv-judges"
_MADE = _ENVIRONMENT / "requirements.txt"  # a copy, put there when all of it is installed
DATA_SETS = ("coco", "coco_results", "yolo", "voc", "labelme", "createml", "label_studio", "cvat", "hocr", "alto")
_ABSENT = "The judges of exports are not installed. `bash tests/judges/environment.sh` fetches them."


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
    if not _MADE.exists() or _MADE.read_text() != (_HERE / "requirements.txt").read_text():
        if os.environ.get("CI") == "true":
            pytest.fail(_ABSENT)
        pytest.skip(_ABSENT)
    report = tmp_path_factory.mktemp("report") / "report.json"
    ran = subprocess.run(
        [_ENVIRONMENT / "bin/python", _HERE / "read.py", exports, report],
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert ran.returncode == 0, ran.stderr
    whole: dict[str, dict[str, Any]] = json.loads(report.read_text())
    return whole
