"""The scenes that the page draws: a seed becomes a picture of the cache, and an answer gets its truth beside it.

Knows no component and no session.
"""

import random
from io import BytesIO

from playground.checkpoints.catalog import BUNDLED
from playground.errors import InputRejected
from playground.results import Prediction
from playground.scenes.examples import Example
from playground.scenes.scene import TRAINING_SEEDS, Scene, make_scene, plan_scene
from playground.scenes.truth import truth_of
from playground.ui.server.files import save_bytes

MAX_SEED = 999_999_999
_SIDE = 768  # pixels
_RANDOM_SEEDS = range(TRAINING_SEEDS, 10 * TRAINING_SEEDS)  # the bundled checkpoint has learned from those below


def read_seed(given: float | None) -> int:
    """Return the seed that was typed. Raises InputRejected."""
    if not isinstance(given, int | float) or not 0 <= given <= MAX_SEED or given % 1:
        came = "the field is empty" if given is None else f"got {given!s:.20}"
        raise InputRejected(f"A seed must be a whole number from 0 to {MAX_SEED:,}, but {came}.", field="seed")
    return int(given)


def draw_scene(seed: int) -> Scene:
    """Draw the scene of a seed, always the same."""
    return make_scene(seed, resolution_wh=(_SIDE, _SIDE))


def draw_any_scene() -> Scene:
    """Draw a scene that shows something."""
    while not plan_scene(seed := random.choice(_RANDOM_SEEDS), resolution_wh=(_SIDE, _SIDE)).things:
        pass
    return draw_scene(seed)


def save_scene(scene: Scene) -> str:
    """Write the picture of a scene, without loss; returns its path."""
    data = BytesIO()
    scene.image.save(data, "PNG")
    return save_bytes(data.getvalue(), f"scene-{scene.seed}.png")


def truth_about(seed: int | None, prediction: Prediction) -> Example | None:
    """Return what is right to answer about a drawn scene; None for other pictures, and for other models.

    The words of the truth are those that the bundled checkpoint has learned: to any other they would be unfair.
    """
    if seed is None or prediction.checkpoint != BUNDLED:
        return None
    return truth_of(plan_scene(seed, resolution_wh=(_SIDE, _SIDE)), prediction.question)
