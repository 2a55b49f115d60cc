"""What is done, in a folder: a line for each picture as soon as it is answered, and what was asked.

A process may be killed at any moment, and started again: what is written stays. Where a group of pictures that are
answered together was cut short, it is asked again as a whole, and only what is missing is written: so each answer is
what it would have been.
"""

import json
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from playground.annotate.answers import JOB, Answers, GroupPlace, Row, encoded_line, key_of, question_of
from playground.annotate.sources import File, PictureSource
from playground.errors import JobRejected
from playground.question import Question

_LOCK = ".lock"


class Journal(Answers):
    """The journal of one job. Its folder belongs to one process at a time, and is free when that ends, however it does.

    Remembers 16 bytes of each picture that is done, and no answer.
    """

    def __init__(self, folder: Path, question: Question, *, overwrite: bool = False) -> None:
        """Take a folder for a question, in which the checkpoint is named. Raises JobRejected."""
        super().__init__(folder)
        self.question = question
        self._lock = FileLock(folder / _LOCK, timeout=0)
        self._done: set[bytes] = set()
        self._begun: set[bytes] = set()  # of a group that is not complete
        self.num_failed_before = 0  # of the pictures that were done, those that could not be answered
        self.failed_files: set[File] = set()  # of which not even the pages or the frames were known
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise JobRejected(
                f"Another process is at work in {folder}. Wait until it ends, or name another --out."
            ) from None
        except OSError as error:
            raise JobRejected(f"{folder} cannot be written ({error.strerror}). Name another --out.") from error
        try:
            if overwrite:
                for file in (self._path, self._reviews, folder / JOB):
                    file.unlink(missing_ok=True)
            self._check_question()
            self._take_stock()
            self._file = self._path.open("ab")
        except OSError as error:
            self._lock.release()
            raise JobRejected(f"{folder} cannot be written ({error.strerror}). Name another --out.") from error
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Give the folder back."""
        with suppress(OSError):  # what found no room on the disk finds none now; `append` has said so
            self._file.close()
        self._lock.release()

    def has(self, source: PictureSource, sha256: str) -> bool:
        """Whether a picture is done."""
        return key_of(source, sha256) in self._done

    def done_keys(self) -> frozenset[bytes]:
        """Return the keys of all pictures that are done, for whoever is to pass them over."""
        return frozenset(self._done)

    def append(self, row: Row) -> bool:
        """Write the row of a picture; returns whether it was not there yet. Raises JobRejected where that cannot be."""
        is_new = row.key not in self._begun
        if is_new:
            try:
                self._file.write(_line(row))
                self._file.flush()
            except OSError as error:
                raise JobRejected(
                    f"{self._path} cannot be written ({error.strerror}). Make room, and start it again: it goes on."
                ) from error
            if not self._is_there():
                raise JobRejected(f"{self._path} was deleted or replaced while this was at work. Start it again.")
            self._begun.add(row.key)
        if row.in_group.is_last:
            self._done |= self._begun
            self._begun = set()
        return is_new

    def forget_errors(self, files: Collection[File] | None = None) -> int:
        """Drop the rows of what could not be answered, so that it is tried again; returns how many.

        With `files`, only those that say of one of these that it could not be looked into.
        """
        kept = self._path.with_suffix(".part")
        num_dropped = 0
        self._done, self._begun = set(), self._done | self._begun
        self._file.close()
        with self._path.open("rb") as lines, kept.open("wb") as file:
            for line in lines:
                wire = json.loads(line)
                source = PictureSource.from_dict(wire)
                if "error" in wire and (files is None or (source.is_whole_file and source.file in files)):
                    num_dropped += 1
                    self._begun.discard(key_of(source, wire["sha256"]))
                else:
                    in_group = GroupPlace.from_wire(wire["group"])
                    alone = replace(in_group, size=in_group.finished)  # nothing of its group is to be asked again
                    file.write(encoded_line({**wire, "group": alone.to_wire()}))
        self._done, self._begun = self._done | self._begun, set()
        kept.replace(self._path)
        self._file = self._path.open("ab")
        self.num_failed_before -= num_dropped
        self.failed_files -= self.failed_files if files is None else set(files)
        return num_dropped

    def _is_there(self) -> bool:
        """Whether what is written is where people look for it."""
        with suppress(OSError):
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        return False

    def _check_question(self) -> None:
        """Write down what is asked, or refuse where something else was."""
        asked, file = question_of(self.folder), self.folder / JOB
        if asked == self.question:
            return
        if self._path.exists() and self._path.stat().st_size:
            if asked is None:
                raise JobRejected(
                    f"{self._path} is there without {JOB}, which says what was asked. Name another --out."
                )
            raise JobRejected(
                f"{self.folder} holds answers to another question: {_shown(asked)}, and not {_shown(self.question)}. "
                "Name another --out, or begin anew with --overwrite, which deletes them."
            )
        part = file.with_suffix(".part")
        part.write_bytes(encoded_line({"question": self.question.to_dict()}))
        part.replace(file)

    def _take_stock(self) -> None:
        """Learn what is done, and cut off what was being written when the process before this one was killed."""
        if not self._path.exists():
            return
        whole = 0  # bytes of complete lines
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                try:
                    wire = json.loads(line)
                    in_group = GroupPlace.from_wire(wire["group"])
                    source = PictureSource.from_dict(wire)
                    self._begun.add(key_of(source, wire["sha256"]))
                    if "error" in wire:
                        self.num_failed_before += 1
                        self.failed_files |= {source.file} if source.is_whole_file else set()
                except (ValueError, KeyError, TypeError) as error:
                    raise self._changed(number, error) from error
                whole = lines.tell()
                if in_group.is_last:
                    self._done |= self._begun
                    self._begun = set()
        with self._path.open("rb+") as file:
            file.truncate(whole)

    def _changed(self, number: int, error: Exception) -> JobRejected:
        return JobRejected(
            f"Line {number} of {self._path} was changed and cannot be read ({error}). Put it back as it was, or begin "
            "anew with --overwrite."
        )


def _line(row: Row) -> bytes:
    answer = {"error": row.error} if row.prediction is None else {"prediction": row.prediction.to_dict()}
    return encoded_line({**row.source.to_dict(), "sha256": row.sha256, "group": row.in_group.to_wire(), **answer})


def _shown(question: Question) -> str:
    phrase = f" “{question.phrase[:80]}”" if question.phrase else ""
    return f"{question.task}{phrase} to {question.checkpoint}"
