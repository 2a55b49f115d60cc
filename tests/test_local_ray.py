"""What a Ray of this program's own leaves behind when it is killed."""

import os
import subprocess
import sys
from pathlib import Path

from playground.local_ray import delete_what_was_left


def test_only_what_killed_programs_have_left_is_deleted(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, used = tmp_path / f"ray-{ended.pid}-ab_d3f9z", tmp_path / f"ray-{os.getpid()}-ab_d3f9z"
    others = [tmp_path / name for name in ("ray-notes", "ray-abcdefgh", f"ray-{ended.pid}-mine", "ray-1-abcdefgh")]
    for folder in (left, used, *others):
        (folder / "session").mkdir(parents=True)
    delete_what_was_left(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([used, *others])
