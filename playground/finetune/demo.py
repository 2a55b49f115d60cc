"""The proof without a network: the bundled checkpoint learns a kind of thing that it has never seen.

30 labeled scenes, with what else is on them; measured on 200 others, and on colors that none of the 30 shows.
"""

import random
from collections.abc import Sequence

from playground.finetune.lessons import Lesson
from playground.pictures.reader import read_image
from playground.question import Question
from playground.scenes.examples import detection
from playground.scenes.scene import TRAINING_SEEDS, Guest, make_scene
from playground.scenes.things import COLORS

NEW_KIND = "owl"
SHOWN_COLORS = ("red", "yellow", "blue", "purple", "brown")
UNSEEN_COLORS = tuple(color for color in COLORS if color not in SHOWN_COLORS)
SCENE_WH = (320, 320)
LESSON_SEEDS = 2 * TRAINING_SEEDS  # from here on scenes are drawn to teach, or to measure what was taught


def scene_lesson(seed: int, colors: Sequence[str], *, guests: int | None = None) -> Lesson:
    """Return the lesson of a scene: where every thing is, with one or two of the new kind, or as many as said."""
    rng = random.Random(f"guests of {seed}")
    count = rng.choice((1, 1, 2)) if guests is None else guests
    invited = tuple(Guest(NEW_KIND, rng.choice(colors)) for _ in range(count))
    scene = make_scene(seed, resolution_wh=SCENE_WH, guests=invited)
    image = read_image(scene.image)
    return Lesson(f"scene {seed}", lambda: image, Question("<OD>"), detection(scene).regions)
