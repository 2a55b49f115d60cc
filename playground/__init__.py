"""Florence-2 Playground: ask Microsoft's Florence-2 about a picture and watch it answer.

The exports are resolved when they are first used (PEP 562), so that importing one module of the package, such as
`playground.scenes.scene`, does not import torch.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

# A command of ours, which Python is still looking for: what it imports takes seconds. The program of somebody else, who
# imports this, ends as he has it.
if sys.argv[:1] == ["-m"] and any(part.removeprefix("-m").partition(".")[0] == __name__ for part in sys.orig_argv):
    from playground.console import end_as_by_ctrl_c, end_plainly_when_interrupted

    end_plainly_when_interrupted()
    end_as_by_ctrl_c()

if TYPE_CHECKING:
    from playground.predictor import Predictor as Predictor
    from playground.question import Question as Question
    from playground.regions import Region as Region
    from playground.results import Prediction as Prediction
    from playground.tasks import TASKS as TASKS

_HOMES = {
    "Predictor": "playground.predictor",
    "Prediction": "playground.results",
    "Question": "playground.question",
    "Region": "playground.regions",
    "TASKS": "playground.tasks",
}
__all__ = ["TASKS", "Prediction", "Predictor", "Question", "Region"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
