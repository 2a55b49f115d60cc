"""What a job of a server was made with, kept in its folder, so that the next server finds the job again."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from playground.annotate.options import SourceOptions
from playground.errors import PlaygroundError
from playground.question import Question

FOLDER = "jobs"  # of a visitor's, in which the jobs are
_GIVEN = "given.json"
_LONGEST_TITLE = 60  # characters


@dataclass(frozen=True, slots=True)
class GivenFiles:
    """What a job was made with, and what is known of it."""

    paths: tuple[str, ...]
    visitor: str
    num_pictures: int | None = None
    wanted: Question | None = None  # the question, with what is to be made of its answers
    options: SourceOptions = field(default_factory=SourceOptions)

    @classmethod
    def read(cls, folder: Path) -> "GivenFiles | None":
        """Return what the job of a folder was made with, which lies in that of its visitor; None where that is none."""
        with suppress(OSError, ValueError, KeyError, TypeError, PlaygroundError):
            wire = json.loads((folder / _GIVEN).read_text(encoding="utf-8"))
            wanted = Question.from_dict(wire["wanted"]) if wire["wanted"] else None
            options = SourceOptions.from_dict(wire["options"])
            return cls(tuple(map(str, wire["paths"])), folder.parents[1].name, wire["num_pictures"], wanted, options)
        return None

    def write(self, folder: Path) -> None:
        """Keep it, for a server that is started again."""
        part = folder / f"{_GIVEN}.part"
        wanted = self.wanted.to_dict() if self.wanted else None
        wire = {
            "paths": self.paths, "num_pictures": self.num_pictures, "wanted": wanted, "options": self.options.to_dict()
        }  # fmt: skip
        part.write_text(json.dumps(wire), encoding="utf-8")
        part.replace(folder / _GIVEN)

    @staticmethod
    def forget(folder: Path) -> None:
        """Let no server find the job of a folder any more."""
        (folder / _GIVEN).unlink(missing_ok=True)

    @property
    def title(self) -> str:
        """What people know it by: its first file, and how many more there are."""
        first, others = Path(self.paths[0]).name[:_LONGEST_TITLE], len(self.paths) - 1
        return f"{first} and {others} more" if others else first

    @property
    def name(self) -> str:
        """What files about it are called: as its only file, if there is no other."""
        return Path(self.paths[0]).stem if len(self.paths) == 1 else "pictures"

    @property
    def num_bytes(self) -> int:
        """How much the files have."""
        return sum(map(size_of, self.paths))


def files_of_jobs(folder: Path, *, keep_seconds: float) -> set[str]:
    """Return the files of all jobs in the folder of a server, but for those that have lain untouched for so long."""
    files: set[str] = set()
    for file in folder.glob(f"*/{FOLDER}/*/{_GIVEN}"):
        own = [path for path in file.parent.iterdir() if path.is_file()]
        given = GivenFiles.read(file.parent)
        if given and time.time() - max(path.stat().st_mtime for path in own) < keep_seconds:
            files |= {*given.paths, *map(str, own)}
    return files


def size_of(path: str | Path) -> int:
    """Return how many bytes a file has; none where it is gone."""
    with suppress(OSError):
        return Path(path).stat().st_size
    return 0
