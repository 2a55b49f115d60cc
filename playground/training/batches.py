"""What is learned from: scenes as they may be uploaded, questions about them, and what each cell of them shows."""

import itertools
import random
import string
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from playground.question import asked_names
from playground.scenes import augment
from playground.scenes.composition import SIGN_SHARE
from playground.scenes.examples import Example, examples
from playground.scenes.scene import TRAINING_SEEDS, Scene, ScenePlan, make_scene
from playground.scenes.things import COLORS, KINDS
from playground.scenes.words import character_centers
from playground.training.model import GRID, IMAGE_SIDE, RESAMPLE
from playground.training.tokenizer import MAX_POSITIONS

CHARACTERS = string.ascii_uppercase + string.digits  # of the words on signs

_NUM_GROUPS = 3  # of questions of similar length, so that short answers are not padded to long ones

# How often each task is asked, beside what every scene, or most of them, is asked anyway.
_TASK_WEIGHTS = {
    "<REGION_PROPOSAL>": 0.3, "<CAPTION_TO_PHRASE_GROUNDING>": 1.5,
    "<REFERRING_EXPRESSION_SEGMENTATION>": 3.0, "<CAPTION>": 3.5, "<DETAILED_CAPTION>": 0.8,
    "<MORE_DETAILED_CAPTION>": 0.8, "<REGION_TO_CATEGORY>": 0.3, "<REGION_TO_DESCRIPTION>": 0.4,
    "<REGION_TO_SEGMENTATION>": 2.0, "<OCR>": 0.1, "<OCR_WITH_REGION>": 0.1, "<REGION_TO_OCR>": 0.1,
}  # fmt: skip
# Of three such questions the one and the two that name the most are asked: what is named last is forgotten first.
_NAMES, _PHRASES = "<OPEN_VOCABULARY_DETECTION>", "<CAPTION_TO_PHRASE_GROUNDING>"
_HIGH_SIGN_SHARE = 0.35  # in one of three scenes: reading is learned last of all
_READING = ("<OCR>", "<OCR_WITH_REGION>", "<REGION_TO_OCR>")


@dataclass(frozen=True, slots=True)
class Options:
    """What decides the weights. `scenes_seen` shifts the seeds, so that a continued training sees new scenes."""

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    scenes_seen: int = 0
    start_share: float = 0.0  # of the weights that the training began with, in those that it ends with
    dense_steps: int = 0  # at the beginning, in which nothing is asked and only the dense head is trained


class QuestionGroup(NamedTuple):
    """Questions of similar length: the index of each one's scene, and the token ids, a padded row for each question."""

    scenes: torch.Tensor
    prompts: torch.Tensor
    answers: torch.Tensor


class Batch(NamedTuple):
    """Scenes and questions about them.

    `pixels` are scenes x 3 x side x side bytes; `cells` and `characters` are the `dense_target` and the
    `character_target` of each scene.
    """

    pixels: torch.Tensor
    cells: torch.Tensor
    characters: torch.Tensor
    groups: tuple[QuestionGroup, ...]


class Batches(Dataset[Batch]):
    """The batch of each step, the same whenever it is asked for."""

    def __init__(self, options: Options, tokenizer: PreTrainedTokenizerFast) -> None:
        self._options = options
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        return self._options.steps

    def __getitem__(self, step: int) -> Batch:
        first = self._options.scenes_seen + step * self._options.batch_size
        pixels, cells, characters, questions = [], [], [], []
        for row in range(self._options.batch_size):
            rng = random.Random(f"{self._options.seed} {first + row}")
            scene = _draw(rng, (first + row) % TRAINING_SEEDS)
            side = (IMAGE_SIDE, IMAGE_SIDE)
            pixels.append(np.asarray(augment.degrade(rng, scene.image).resize(side, Image.Resampling(RESAMPLE))))
            cells.append(dense_target(scene))
            characters.append(character_target(scene))
            if step >= self._options.dense_steps:
                questions += [(row, *question) for question in draw_questions(rng, scene)]
        stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
        groups = self._group(questions) if questions else ()
        return Batch(stacked, torch.from_numpy(np.stack(cells)), torch.from_numpy(np.stack(characters)), groups)

    def _group(self, questions: list[tuple[int, str, str]]) -> tuple[QuestionGroup, ...]:
        prompts = self._tokenizer([prompt for _, prompt, _ in questions]).input_ids
        answers = self._tokenizer([answer for *_, answer in questions]).input_ids
        rows = sorted(
            (len(answer), row, prompt, answer)
            for (row, *_), prompt, answer in zip(questions, prompts, answers, strict=True)
            if max(len(prompt), len(answer)) <= MAX_POSITIONS
        )
        cuts = [len(rows) * cut // _NUM_GROUPS for cut in range(_NUM_GROUPS + 1)]
        return tuple(self._pad(rows[start:end]) for start, end in itertools.pairwise(cuts) if start < end)

    def _pad(self, rows: list[tuple[int, int, list[int], list[int]]]) -> QuestionGroup:
        pad = self._tokenizer.pad_token_id
        sides = [[torch.tensor(row[side]) for row in rows] for side in (2, 3)]
        padded = [torch.nn.utils.rnn.pad_sequence(side, batch_first=True, padding_value=pad) for side in sides]
        return QuestionGroup(torch.tensor([row[1] for row in rows]), *padded)


def _draw(rng: random.Random, seed: int) -> Scene:
    """Draw the scene of a seed as it may be uploaded: at some resolution, half of them square, some on a page."""
    side = rng.uniform(170, 380)
    stretch = 1.0 if rng.random() < 0.5 else 2 ** rng.uniform(-0.55, 0.55)
    resolution_wh = (round(side * stretch), round(side / stretch))
    sign_share = _HIGH_SIGN_SHARE if seed % 3 == 0 else SIGN_SHARE
    supersampling = 2 if side < 240 else 1
    scene = make_scene(seed, resolution_wh=resolution_wh, supersampling=supersampling, sign_share=sign_share)
    return augment.on_page(rng, scene) if rng.random() < 0.06 else scene


def draw_questions(rng: random.Random, scene: ScenePlan) -> list[tuple[str, str]]:
    """Return prompts about a scene and their answers.

    Names once and phrases twice, detection mostly, up to three other tasks, and to read where there is a word.
    """
    by_task = examples(scene, rng=rng)
    others = [examples(scene, rng=rng) for _ in range(3)]
    names = sorted((other[_NAMES] for other in others), key=_num_names)
    phrases = sorted((other[_PHRASES] for other in others), key=lambda example: len(example.regions))
    weights = {task: weight for task, weight in _TASK_WEIGHTS.items() if task in by_task}
    chosen = set(rng.choices(list(weights), list(weights.values()), k=3))
    if rng.random() < 0.7:
        chosen.add(rng.choice(("<OD>", "<DENSE_REGION_CAPTION>")))
    if any(thing.writing for thing in scene.things):
        chosen |= set(rng.sample(_READING, 2))
    wh = scene.resolution_wh
    asked = [by_task[task] for task in sorted(chosen)] + names[2:] + phrases[1:]
    return [(_jitter(rng, example).prompt(wh), example.answer(wh)) for example in asked]


def _num_names(example: Example) -> int:
    return len(asked_names(example.question))


def _jitter(rng: random.Random, example: Example) -> Example:
    """Move the sides of a region that is asked about a little, in half of the cases: people draw them by hand."""
    if not example.question.regions or rng.random() < 0.5:
        return example
    ((x_min, y_min, x_max, y_max),) = example.question.regions
    width, height = x_max - x_min, y_max - y_min

    def move(value: float, side: float) -> float:
        return value + rng.uniform(-0.08, 0.08) * side

    box = (move(x_min, width), move(y_min, height), move(x_max, width), move(y_max, height))
    return replace(example, question=replace(example.question, regions=(box,)))


def character_target(scene: ScenePlan) -> npt.NDArray[np.float32]:
    """Return for each cell which characters have their center in it: grid x grid x `CHARACTERS`, 0 or 1."""
    target = np.zeros((GRID, GRID, len(CHARACTERS)), np.float32)
    for word in (thing.writing for thing in scene.things if thing.writing):
        corners = np.reshape(word.xyxyxyxy or (), (4, 2)) / scene.resolution_wh
        left, right = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
        for character, share in zip(word.label, character_centers(word.label), strict=True):
            column, row = ((left + share * (right - left)) * GRID).astype(int)
            target[row, column, CHARACTERS.index(character)] = 1
    return target


def dense_target(scene: ScenePlan) -> npt.NDArray[np.float32]:
    """Return for each cell what the smallest thing at its center is: grid x grid x 6.

    The kind, the color, and the distances from the center to the four sides of the box as shares of the picture.
    """
    width, height = scene.resolution_wh
    target = np.zeros((GRID, GRID, 6), np.float32)
    target[..., 0] = len(KINDS)
    centers = (np.arange(GRID) + 0.5) / GRID
    boxes = [(t, np.array(t.region.xyxy) / (width, height, width, height)) for t in scene.things]
    for thing, (x_min, y_min, x_max, y_max) in sorted(boxes, key=lambda b: -np.prod(b[1][2:] - b[1][:2])):
        columns, rows = (centers >= x_min) & (centers <= x_max), (centers >= y_min) & (centers <= y_max)
        columns[min(GRID - 1, int((x_min + x_max) / 2 * GRID))] = True
        rows[min(GRID - 1, int((y_min + y_max) / 2 * GRID))] = True
        x, y = np.meshgrid(centers[columns], centers[rows])
        sides = np.stack([x - x_min, y - y_min, x_max - x, y_max - y], -1)
        names = np.broadcast_to((KINDS.index(thing.kind), [*COLORS].index(thing.color)), (*x.shape, 2))
        target[np.ix_(rows, columns)] = np.concatenate([names, sides], -1)
    return target
