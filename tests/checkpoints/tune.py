"""A fine-tune in Microsoft's layout that brings tasks along, and what they are asked."""

import json
from pathlib import Path

from playground.checkpoints.catalog import BUNDLED, resolve
from tests.checkpoints.original import write_tiny

# The bundled weights know the sentences of Florence-2's own tasks: what these ask is really answered.
TASK_ROWS = [
    {"id": "<TRAINING>", "title": "Caption for training", "prompt": "What does the image describe?"},
    {"id": "<DocVQA>", "title": "Ask the document a question", "input": "sentence", "prompt": "{input}",
     "hint": "What is the date?"},
    {"id": "<FIND>", "title": "Find what the catalog has", "input": "classes", "output": "boxes or polygons",
     "prompt": "Locate {input} in the image."},
]  # fmt: skip
CAPTION, ASK_DOCUMENT = "<TRAINING> none -> text", "<DocVQA> sentence -> text"
READ = "What is the text in the image?"  # which is that of <OCR>


def write_tune(folder: Path) -> Path:
    """Write the bundled weights as such a fine-tune."""
    write_tiny(Path(resolve(BUNDLED).source), folder)
    (folder / "playground.json").write_text(json.dumps({"title": "My tune", "tasks": TASK_ROWS}))
    return folder
