"""The proof without a network: the bundled checkpoint learns a kind of thing that it has never seen.

30 labeled scenes, with all that is on them, and as many that nobody labeled, about which its own answers are rehearsed;
measured on 200 others, in colors too that none of the 30 shows. What it knew before is measured on the same scenes
without the new kind.
"""

import json
import math
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.checkpoints.catalog import BUNDLED
from playground.evaluation.metrics import mean_average_precision
from playground.finetune.lessons import Lesson
from playground.finetune.loop import finetune
from playground.finetune.measuring import ask_lessons
from playground.finetune.rehearsal import rehearsed
from playground.finetune.teaching import Teaching, TeachingProgress, TeachingStage
from playground.pictures.reader import read_image
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Region
from playground.scenes.examples import detection
from playground.scenes.scene import TRAINING_SEEDS, Guest, make_scene
from playground.scenes.things import COLORS

NEW_KIND = "owl"
SHOWN_COLORS = ("red", "yellow", "blue", "purple", "brown")
UNSEEN_COLORS = tuple(color for color in COLORS if color not in SHOWN_COLORS)
LESSON_SEEDS = 2 * TRAINING_SEEDS  # from here on scenes are drawn to teach, or to measure what was taught
_HELD_OUT_SEEDS, _MEASURED_SEEDS, _REHEARSED_SEEDS = (LESSON_SEEDS + n * 10_000 for n in (1, 2, 3))
_SCENE_WH = (320, 320)
_LESSON_WH = (640, 640)  # of what is taught, which is looked at nearer, too
_MAX_NEW_TOKENS = 200

# It has to learn a new shape, so that its vision tower learns too. All else is as it is for everybody.
DEMO_TEACHING = Teaching(steps=620, vision=True, measure_every=300, max_measured=16)


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """What came of it: mAP@50 of the new kind before and after, in colors that the lessons showed and in others.

    `old_map50_loss` is how much the other kinds lose, in scenes without the new one. So many labeled `lessons` were
    taught, and so many `rehearsed` ones, of which nobody labeled any; `scenes` were asked about for each figure.
    `seconds` is what teaching took, with what was measured meanwhile, `cpu_seconds` how long the processor worked.
    """

    new_map50_before: float
    new_map50: float
    new_map50_unseen_colors: float
    old_map50_before: float
    old_map50_loss: float
    lessons: int
    rehearsed: int
    scenes: int
    steps: int
    seconds: float
    cpu_seconds: float

    def to_json(self) -> str:
        """Return one line of JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({name: round(value, 4) for name, value in values.items()})


def scene_lesson(
    seed: int, colors: Sequence[str], *, guests: int | None = None, resolution_wh: tuple[int, int] = _SCENE_WH
) -> Lesson:
    """Return the lesson of a scene: where every thing is, with one or two of the new kind, or as many as said."""
    rng = random.Random(f"guests of {seed}")
    count = rng.choice((1, 1, 2)) if guests is None else guests
    invited = tuple(Guest(NEW_KIND, rng.choice(colors)) for _ in range(count))
    scene = make_scene(seed, resolution_wh=resolution_wh, guests=invited)
    image = read_image(scene.image)
    return Lesson(f"scene {seed}", lambda: image, Question("<OD>"), detection(scene).regions)


def demo_lessons(count: int, held_out: int) -> tuple[list[Lesson], list[Lesson]]:
    """Return lessons, and as many others to measure with meanwhile; both in the colors that are shown."""
    sides = ((LESSON_SEEDS, count), (_HELD_OUT_SEEDS, held_out))
    first, second = (
        [scene_lesson(start + n, SHOWN_COLORS, resolution_wh=_LESSON_WH) for n in range(size)] for start, size in sides
    )
    return first, second


def teach_demo(
    say: Callable[[str], None],
    out: Path,
    *,
    teaching: Teaching = DEMO_TEACHING,
    lessons: int = 30,
    rehearse: int = 30,
    scenes: int = 200,
) -> DemoFigures:
    """Teach the bundled checkpoint, load what came of it as anybody does, and return the figures."""
    seeds = range(_MEASURED_SEEDS, _MEASURED_SEEDS + scenes)
    shown = [scene_lesson(seed, tuple(COLORS)) for seed in seeds]
    unseen = [scene_lesson(seed, UNSEEN_COLORS) for seed in seeds]
    plain = [scene_lesson(seed, (), guests=0) for seed in seeds]
    base = Predictor.load(BUNDLED, offline=True)
    new_before, old_before = _map50(base, shown, is_new=True), _map50(base, plain, is_new=False)
    say(f"Before: mAP@50 of {NEW_KIND} {new_before:.3f}, of the kinds that it knows {old_before:.3f}.")
    taught, measured = demo_lessons(lessons, teaching.max_measured)
    plan = range(_REHEARSED_SEEDS, _REHEARSED_SEEDS + rehearse)
    unlabeled = [scene_lesson(seed, (), guests=0, resolution_wh=_LESSON_WH) for seed in plan]
    taught += rehearsed(base, unlabeled, _MAX_NEW_TOKENS)
    progress, started = TeachingProgress(TeachingStage.LOADING), time.process_time()
    for progress in finetune(taught, measured, BUNDLED, teaching, out):
        if progress.stage is TeachingStage.TEACHING and progress.step % 25 == 0:
            say(f"step {progress.step} of {progress.steps}  loss {progress.loss:.3f}  {progress.seconds:.0f} s")
    worked = time.process_time() - started
    after = Predictor.load(BUNDLED, adapter=str(out), offline=True)
    return DemoFigures(
        new_map50_before=new_before,
        new_map50=_map50(after, shown, is_new=True),
        new_map50_unseen_colors=_map50(after, unseen, is_new=True),
        old_map50_before=old_before,
        old_map50_loss=old_before - _map50(after, plain, is_new=False),
        lessons=lessons,
        rehearsed=len(taught) - lessons,
        scenes=scenes,
        steps=progress.step,
        seconds=progress.seconds,
        cpu_seconds=worked,
    )


def run_demo(say: Callable[[str], None], out: Path | None) -> str:
    """Run the whole proof, and return its line of JSON; the adapter stays only where a folder is given."""
    folder = out or Path(tempfile.mkdtemp(prefix="playground-demo-"))
    try:
        return teach_demo(say, folder).to_json()
    finally:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)


def _map50(predictor: Predictor, lessons: Sequence[Lesson], *, is_new: bool) -> float:
    """Return the mAP@50 of the new kind, or of all others."""

    def of(regions: Sequence[Region]) -> list[Region]:
        return [region for region in regions if (region.label == NEW_KIND) is is_new]

    answers = sorted(ask_lessons(predictor, lessons, _MAX_NEW_TOKENS), key=lambda pair: pair[0])
    found = [of(answer.prediction.regions) for _, answer in answers]
    figure = mean_average_precision(found, [of(lesson.regions) for lesson in lessons]).at_50
    return 0.0 if math.isnan(figure) else figure
