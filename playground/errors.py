"""The errors that a user is meant to read.

    PlaygroundError
    ├── SettingsInvalid         an option or an environment variable cannot be used
    ├── UnknownTask             a task that is not in the table
    ├── InputRejected           a phrase, a region or a prompt is missing or cannot be used; `field` says which
    ├── ImageRejected           the picture cannot be used
    ├── SourceRejected          there is nothing where pictures were said to be
    ├── JobRejected             a folder of answers cannot be used for this job
    ├── TeachingRejected        a teaching cannot be begun, or what it learned not be kept
    ├── CheckpointUnavailable   a checkpoint cannot be found, fetched or loaded
    ├── PredictionInvalid       a prediction from outside does not have the wire form
    ├── ExportRejected          a file cannot be written from this prediction
    ├── StorageFull             the server's disk, or the part of it that is given to pictures, is full
    └── EngineFailed            the model could not finish the answer
        └── EngineHangs         it does not end either

Each message is one full sentence or two: what came, what is accepted, what to do. Every other exception is a bug.
"""

from functools import partial
from typing import Any


class PlaygroundError(Exception):
    """Base of every error whose message is shown to the user as it stands."""


class SettingsInvalid(PlaygroundError):
    """An option or an environment variable cannot be used."""


class UnknownTask(PlaygroundError):
    """A task that is not in the table."""


class InputRejected(PlaygroundError):
    """An input of the task is missing or cannot be used; `field` names the input."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field

    def __reduce__(self) -> tuple[Any, ...]:  # a pool of processes makes it anew, and breaks where that fails
        return partial(type(self), field=self.field), self.args


class ImageRejected(PlaygroundError):
    """The picture cannot be used."""


class SourceRejected(PlaygroundError):
    """There is nothing where pictures were said to be."""


class JobRejected(PlaygroundError):
    """A folder of answers cannot be used for this job."""


class TeachingRejected(PlaygroundError):
    """A teaching cannot be begun, or what it learned not be kept."""


class CheckpointUnavailable(PlaygroundError):
    """A checkpoint cannot be found, fetched or loaded; `details` are for whoever runs the playground."""

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.details = details

    def in_full(self) -> "CheckpointUnavailable":
        """Return the same for whoever runs the playground: the details are part of the sentence."""
        return CheckpointUnavailable(" ".join(filter(None, (str(self), self.details))))


class PredictionInvalid(PlaygroundError):
    """A prediction from outside does not have the wire form."""


class ExportRejected(PlaygroundError):
    """A file cannot be written from this prediction."""


class StorageFull(PlaygroundError):
    """The server's disk, or the part of it that is given to pictures, is full."""


class EngineFailed(PlaygroundError):
    """The model could not finish the answer."""


class EngineHangs(EngineFailed):
    """The model does not even end an answer whose time is over."""
