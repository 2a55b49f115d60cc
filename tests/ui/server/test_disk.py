"""What the cache may hold: nothing old that nobody uses, and no more of all and of one visitor than is allowed."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from playground.errors import StorageFull
from playground.ui.server.disk import DISK_FULL, Disk, DiskLimits

HOUR = 3600.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_disk(tmp_path: Path, clock: Clock) -> Callable[..., Disk]:
    """A disk whose visitors are called as the requests say."""

    def make(**limits: float) -> Disk:
        return Disk(tmp_path, DiskLimits(**limits), visitor_of=str, clock=clock)  # type: ignore[arg-type]

    return make


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_whatever_is_old_is_deleted_whoever_wrote_it_unless_it_is_in_use(
    tmp_path: Path, clock: Clock, make_disk: Callable[..., Disk]
) -> None:
    disk = make_disk()
    shown = disk.save(b"shown", "shown.jpg", "ada")
    disk.save(b"saved", "saved.zip", "ada")
    for name in ("tmpaborted", "deep_links/snapshot", "0a1b/data-url.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"left")
    disk.in_use = lambda: {shown}
    disk.sweep()
    clock.now += HOUR - 1
    (tmp_path / "0a1b/data-url.png").write_bytes(b"written again")
    disk.save(b"new", "new.jpg", "ada")
    disk.sweep()
    clock.now += 1
    disk.sweep()
    assert names(tmp_path) == {"shown.jpg", "new.jpg", "data-url.png"}
    disk.in_use = frozenset
    clock.now += HOUR
    for _ in range(3):
        disk.sweep()
        clock.now += 61
    assert list(tmp_path.iterdir()) == []  # no empty folder either


def test_what_somebody_wants_gone_goes_at_once_unless_it_is_in_use(
    tmp_path: Path, make_disk: Callable[..., Disk]
) -> None:
    disk = make_disk(total_files=2, visitor_share=1.0)
    shown, saved = disk.save(b"shown", "shown.jpg", "ada"), disk.save(b"saved", "saved.zip", "ada")
    disk.in_use = lambda: {shown}
    disk.delete([shown, saved, str(tmp_path / "nothing"), "/etc/hostname"])
    assert names(tmp_path) == {"shown.jpg"}
    disk.save(b"new", "new.jpg", "ada")  # there is room again


def test_the_newest_files_made_for_an_open_tab_are_those_it_shows(make_disk: Callable[..., Disk]) -> None:
    disk, (ada, bob) = make_disk(), (SimpleNamespace(session_hash=name) for name in ("ada", "bob"))
    made = [disk.save(b"%d" % number, f"{number}.jpg", ada) for number in range(10)]
    disk.save(b"bob's", "b.jpg", bob)
    assert disk.made_for({"ada", "cem"}) == set(made[2:])
    assert disk.made_for({"bob"}) == set()  # it was closed meanwhile


def test_a_clock_on_the_wall_that_jumps_deletes_nothing_and_keeps_nothing(
    tmp_path: Path, clock: Clock, make_disk: Callable[..., Disk]
) -> None:
    disk = make_disk()
    for name, year in (("past", 0), ("future", 4_000_000_000)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (year, year))
    disk.sweep()
    assert names(tmp_path) == {"past", "future"}
    clock.now += HOUR
    disk.sweep()
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({"total_bytes": 400, "visitor_share": 0.5}, id="bytes"),
        pytest.param({"total_files": 4, "visitor_share": 0.5}, id="files"),
    ],
)
def test_a_visitor_pushes_out_the_oldest_of_their_own_and_nothing_of_others(
    tmp_path: Path, clock: Clock, make_disk: Callable[..., Disk], limits: dict[str, float]
) -> None:
    disk = make_disk(**limits)
    others = disk.save(b"o" * 100, "others", "bob")
    disk.sweep()
    for number in range(3):
        clock.now += 100
        disk.save(bytes([number]) * 100, f"{number}", "ada")
        disk.sweep()
    assert names(tmp_path) == {"others", "1", "2"}
    disk.in_use = lambda: {str(path) for path in tmp_path.rglob("*")}
    clock.now += 100
    with pytest.raises(StorageFull, match="all the room that one visitor may have"):
        disk.save(b"x" * 100, "x", "ada")
    disk.save(b"b" * 100, "b", "bob")
    with pytest.raises(StorageFull, match="no room for another file now"):
        disk.save(b"c" * 100, "c", "cem")
    disk.in_use = lambda: {others}
    clock.now += 100
    disk.save(b"c" * 100, "c", "cem")
    assert names(tmp_path) == {"others", "b", "2", "c"}


def test_a_disk_that_is_full_is_a_sentence_and_leaves_no_half_of_a_file(
    tmp_path: Path, make_disk: Callable[..., Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def write_half(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(StorageFull, match=DISK_FULL):
        make_disk().save(b"picture", "picture.png", "ada")
    assert names(tmp_path) == set()
