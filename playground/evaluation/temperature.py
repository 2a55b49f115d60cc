"""A temperature that makes scores honest, kept beside a checkpoint; whoever loads it gives scores under it.

A score from which on regions are shown is changed with it, so that the same ones are shown.
"""

import json
from pathlib import Path

import numpy as np

from playground.checkpoints.catalog import DESCRIPTION, LARGEST_TEMPERATURE, Checkpoint, read_json
from playground.errors import PlaygroundError
from playground.evaluation.detection import Trust, tempered


def keep_temperature(checkpoint: Checkpoint, trust: Trust | None) -> str:
    """Write the temperature into the description of a checkpoint in a folder, and return a sentence about it.

    Raises PlaygroundError where it cannot be written, or says nothing.
    """
    if trust is None or not trust.bins or trust.temperature == 1.0:
        raise PlaygroundError("No temperature makes the scores better, so none was kept.")
    file = Path(checkpoint.source) / DESCRIPTION
    facts = read_json(file) if file.is_file() else {}
    together = checkpoint.score_temperature * trust.temperature  # the scores that were measured had the one before
    together = min(max(together, 1 / LARGEST_TEMPERATURE), LARGEST_TEMPERATURE)
    facts["score_temperature"] = round(together, 3)
    if checkpoint.min_score:
        facts["min_score"] = round(float(tempered(np.array([checkpoint.min_score]), trust.temperature)[0]), 3)
    part = file.with_suffix(".part")
    try:
        part.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise PlaygroundError(f"{file} cannot be written ({error.strerror}). Make room, or copy it.") from error
    return f"Kept the temperature {facts['score_temperature']} in {file}; scores are given under it from now on."
