"""The two questions of the comparing page. What the right side leaves open is as on the left."""

import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from playground.question import Question
from playground.tasks import DEFAULT_TASK
from playground.ui.components import StageData
from playground.ui.memory import kept_object

SAME = ""  # the task of the right side that is the left one's


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked on either side, each field called after a component."""

    task: str = DEFAULT_TASK.id
    phrase: str = ""
    checkpoint: str = ""
    decoding: str = "greedy"
    right_task: str = SAME
    right_phrase: str = ""
    right_checkpoint: str = ""
    right_decoding: str = "careful"

    @classmethod
    def read(cls, content: str) -> "Form":
        """Read what a browser has kept; what makes no sense is as if it were not there."""
        given = kept_object(content)
        names = [field.name for field in fields(cls)]
        return cls(**{name: given[name] for name in names if isinstance(given.get(name), str)})

    def after(self, asked: Question) -> "Form":
        """Return the form with a question on its left side that was asked elsewhere."""
        return replace(self, task=asked.task, phrase=asked.phrase, checkpoint=asked.checkpoint, decoding=asked.decoding)

    def write(self) -> str:
        """Return what the browser keeps."""
        return json.dumps(asdict(self))

    @property
    def tasks(self) -> tuple[str, str]:
        """The task of each side."""
        return self.task, self.right_task or self.task

    @property
    def checkpoints(self) -> tuple[str, str]:
        """The checkpoint of each side."""
        return self.checkpoint, self.right_checkpoint

    def questions(self, left: StageData) -> tuple[Question, Question]:
        """Return what is asked; the regions that were drawn on the left picture count on both sides."""
        regions: Any = left.regions or ()
        tasks, phrases = self.tasks, (self.phrase, self.right_phrase or self.phrase)
        decodings = self.decoding, self.right_decoding
        left_one, right_one = (
            Question(task, phrase, regions, checkpoint, decoding)
            for task, phrase, checkpoint, decoding in zip(tasks, phrases, self.checkpoints, decodings, strict=True)
        )
        return left_one, right_one
