"""A folder for each program: only its user reads it, it goes with the program, and a dead one's goes with the next."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from playground.errors import SettingsInvalid
from playground.ui.server.cache_folder import own_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks.")

HOLD = """
import sys
from playground.ui.server.cache_folder import own_folder
with own_folder(sys.argv[1]) as folder:
    (folder / "picture.png").write_bytes(b"private")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_two_programs_have_two_folders_and_a_killed_ones_is_removed_by_the_next(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout
        theirs = Path(other.stdout.readline().strip())
        strangers = tmp_path / "florence-2-playground-notes.txt"
        strangers.write_text("no folder")
        with own_folder(str(tmp_path)) as ours:
            assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(theirs.stat().st_mode) == 0o700
            assert (theirs / "picture.png").is_file()
            (ours / "picture.png").write_bytes(b"private")
        assert not ours.exists()
        assert (theirs / "picture.png").is_file()
        other.send_signal(signal.SIGKILL)
        other.wait()
        with own_folder(str(tmp_path)):
            assert not theirs.exists()
        assert list(tmp_path.iterdir()) == [strangers]
    finally:
        other.kill()
        other.communicate()


def test_what_is_to_outlive_a_program_is_taken_over_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    def kept(folder: Path) -> set[str]:
        return {str(path) for path in folder.glob("*/job")}

    with own_folder(str(tmp_path), kept) as first, own_folder(str(tmp_path), kept) as other:
        assert other != first
        for name in ("job", "picture.png"):
            (first / "visitor").mkdir(exist_ok=True)
            (first / "visitor" / name).write_bytes(b"private")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [first / "visitor" / "job"]
    with own_folder(str(tmp_path), kept) as second:
        assert second == first
        with own_folder(str(tmp_path), kept) as third:
            assert third != second
    with own_folder(str(tmp_path)):
        assert not first.exists()


def test_where_no_folder_can_be_made_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SettingsInvalid, match=r"No folder for uploads can be made in .*file \(File exists\)\. Let "):
        own_folder(str(file)).__enter__()
    with pytest.raises(SettingsInvalid, match=r"below \(Not a directory\)"):
        own_folder(str(file / "below")).__enter__()
