"""The environment of the judges, which `environment.sh` makes."""

import os
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_ENVIRONMENT = _HERE.parents[1] / ".venv-judges"
_MADE = _ENVIRONMENT / "requirements.txt"  # a copy, put there when all of it is installed
_ABSENT = "The judges of exports are not installed. `bash tests/judges/environment.sh` fetches them."


def judges_python() -> Path:
    """Return their Python; without it the test is skipped, or fails where all are to run."""
    if not _MADE.exists() or _MADE.read_text() != (_HERE / "requirements.txt").read_text():
        if os.environ.get("CI") == "true":
            pytest.fail(_ABSENT)
        pytest.skip(_ABSENT)
    return _ENVIRONMENT / "bin/python"
