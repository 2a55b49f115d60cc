"""How far a job is, in a terminal: pictures a minute, time left, errors."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

from playground.annotate.job import JobEvent, PictureAnswered, PictureAnsweredElsewhere, PictureFailed, PictureSkipped
from playground.console import clock_time

_SECONDS_BETWEEN_LINES = 30.0  # where there is no terminal to draw a bar in
_MAX_PROBLEMS = 100  # sentences that are kept


class ProgressBar:
    """A bar, or a line now and then where the output is no terminal; counts what became of the pictures."""

    def __init__(self, total: int) -> None:
        self.num_answered = self.num_failed = self.num_skipped = 0
        self.problems: list[str] = []
        self._total = total
        self._began = time.monotonic()
        self._said = self._began
        self._bar = tqdm(
            total=total,
            disable=None,  # only in a terminal
            file=sys.stderr,
            bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix}",
            mininterval=0.3,
        )

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def take(self, event: JobEvent) -> None:
        """Count an event and show it."""
        match event:
            case PictureAnswered() | PictureAnsweredElsewhere():
                self.count_answered()
            case PictureFailed(source, error):
                self.count_failed(f"{source}: {error}")
            case PictureSkipped():
                self.num_skipped += 1
                self._count()

    def count_answered(self) -> None:
        """Count a picture that was answered, and show it."""
        self.num_answered += 1
        self._show()

    def count_failed(self, problem: str) -> None:
        """Count a picture that was not answered, and show it; the problem is a sentence with its name."""
        self.num_failed += 1
        self.problems = [*self.problems, problem][:_MAX_PROBLEMS]
        self._show()

    def _show(self) -> None:
        self._count()
        self._bar.refresh()  # of those that end together, the last one says how long it takes

    def _count(self) -> None:
        self._bar.set_postfix_str(self._pace(), refresh=False)
        self._bar.update()
        if self._bar.disable and time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            print(f"{self._num_done} of {self._total} pictures, {self._pace()}", file=sys.stderr, flush=True)

    def summary(self) -> str:
        """Return what became of the pictures, in a line."""
        counts = [(self.num_answered, "answered"), (self.num_skipped, "done before"), (self.num_failed, "not answered")]
        said = ", ".join(f"{count} {what}" for count, what in counts if count)
        return f"Pictures: {said or 'none'}, in {clock_time(time.monotonic() - self._began)}."

    @property
    def _num_done(self) -> int:
        return self.num_answered + self.num_failed + self.num_skipped

    def _pace(self) -> str:
        asked = self.num_answered + self.num_failed
        seconds = max(time.monotonic() - self._began, 1e-3)
        left = max(0, self._total - self._num_done) * seconds / asked if asked else 0.0
        errors = f", {self.num_failed} errors" if self.num_failed else ""
        return f"{60 * asked / seconds:.0f} a minute, {clock_time(left)} left{errors}"
