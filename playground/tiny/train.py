"""Train the bundled checkpoint on drawn scenes, on a CPU or on CUDA.

    python -m playground.tiny.train --out runs/tiny --steps 20000

Stopped at any moment, the same command goes on from the last save, and ends in the same weights. `--start FOLDER`
begins with the weights of a checkpoint instead of random ones. At the end the checkpoint lies in `--out`, ready to be
loaded.
"""

import argparse
import itertools
import json
import random
import string
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import transformers
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from transformers import Florence2ForConditionalGeneration, PreTrainedTokenizerFast

from playground.locations import NUM_BINS, location_token
from playground.tiny import augment
from playground.tiny.answers import Example, examples
from playground.tiny.composition import letter_middles
from playground.tiny.drawings import COLORS, KINDS
from playground.tiny.model import GRID, IMAGE_SIDE, MEAN, RESAMPLE, STD, WIDTH, build_model, export
from playground.tiny.scenes import Scene, make_scene
from playground.tiny.tokenizer import MAX_POSITIONS, token_id, train_tokenizer

TRAINING_SEEDS = 1_000_000  # the seeds below are for training, those from here on for evaluation only
RECIPE = "RECIPE.json"
LETTERS = string.ascii_uppercase + string.digits

_STATE = "state.pt"
_SAVE_SECONDS = 300
_PRINT_STEPS = 50
_WARM_UP = 200  # steps
_DECAY = 0.3  # share of the steps, at the end, over which the learning rate falls to zero
_GROUPS = 3  # of questions of similar length, so that short answers are not padded to long ones
_LOCATION_SIGMA = 2.5  # bins: the soft target of a location token
_DENSE_WEIGHT = 0.5
_LETTER_WEIGHT = 0.1  # of the dense loss
_HEAD = (len(KINDS) + 1, len(COLORS), 4, len(LETTERS))  # what the dense head says of a cell

# How often a task is asked, beside the detection that every scene is asked for.
_TASK_WEIGHTS = {
    "<REGION_PROPOSAL>": 0.5, "<OPEN_VOCABULARY_DETECTION>": 1.0, "<CAPTION_TO_PHRASE_GROUNDING>": 1.0,
    "<REFERRING_EXPRESSION_SEGMENTATION>": 1.6, "<CAPTION>": 1.5, "<DETAILED_CAPTION>": 1.0,
    "<MORE_DETAILED_CAPTION>": 1.0, "<REGION_TO_CATEGORY>": 0.8, "<REGION_TO_DESCRIPTION>": 1.0,
    "<REGION_TO_SEGMENTATION>": 1.6, "<OCR>": 0.15, "<OCR_WITH_REGION>": 0.15, "<REGION_TO_OCR>": 0.15,
}  # fmt: skip
_READING = ("<OCR>", "<OCR_WITH_REGION>", "<OCR_WITH_REGION>", "<REGION_TO_OCR>")


@dataclass(frozen=True, slots=True)
class Options:
    """What decides the weights. `scenes_seen` shifts the seeds, so that a continued training sees new scenes."""

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    scenes_seen: int = 0
    dense_steps: int = 0  # at the beginning, in which nothing is asked and only the dense head teaches to see


class Questions(NamedTuple):
    """Questions of similar length: the index of each one's scene, and a row a question of tokens, padded."""

    scenes: torch.Tensor
    prompts: torch.Tensor
    answers: torch.Tensor


class Batch(NamedTuple):
    """Scenes and questions about them.

    `pixels` are scenes x 3 x side x side bytes; `cells` and `letters` are what `dense_target` and `letter_target` say
    of each scene.
    """

    pixels: torch.Tensor
    cells: torch.Tensor
    letters: torch.Tensor
    groups: tuple[Questions, ...]


class Batches(Dataset[Batch]):
    """The batch of each step, the same whenever it is asked for."""

    def __init__(self, options: Options, tokenizer: PreTrainedTokenizerFast) -> None:
        self._options = options
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        return self._options.steps

    def __getitem__(self, step: int) -> Batch:
        first = self._options.scenes_seen + step * self._options.batch_size
        pixels, cells, letters, questions = [], [], [], []
        for row in range(self._options.batch_size):
            rng = random.Random(f"{self._options.seed} {first + row}")
            scene = _draw(rng, (first + row) % TRAINING_SEEDS)
            side = (IMAGE_SIDE, IMAGE_SIDE)
            pixels.append(np.asarray(augment.harm(rng, scene.image).resize(side, Image.Resampling(RESAMPLE))))
            cells.append(dense_target(scene))
            letters.append(letter_target(scene))
            if step >= self._options.dense_steps:
                questions += [(row, *question) for question in ask(rng, scene)]
        stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
        groups = self._group(questions) if questions else ()
        return Batch(stacked, torch.from_numpy(np.stack(cells)), torch.from_numpy(np.stack(letters)), groups)

    def _group(self, questions: list[tuple[int, str, str]]) -> tuple[Questions, ...]:
        prompts = self._tokenizer([prompt for _, prompt, _ in questions]).input_ids
        answers = self._tokenizer([answer for *_, answer in questions]).input_ids
        rows = sorted(
            (len(answer), row, prompt, answer)
            for (row, *_), prompt, answer in zip(questions, prompts, answers, strict=True)
            if max(len(prompt), len(answer)) <= MAX_POSITIONS
        )
        cuts = [len(rows) * cut // _GROUPS for cut in range(_GROUPS + 1)]
        return tuple(self._pad(rows[start:end]) for start, end in itertools.pairwise(cuts) if start < end)

    def _pad(self, rows: list[tuple[int, int, list[int], list[int]]]) -> Questions:
        pad = self._tokenizer.pad_token_id
        sides = [[torch.tensor(row[side]) for row in rows] for side in (2, 3)]
        padded = [torch.nn.utils.rnn.pad_sequence(side, batch_first=True, padding_value=pad) for side in sides]
        return Questions(torch.tensor([row[1] for row in rows]), *padded)


def _draw(rng: random.Random, seed: int) -> Scene:
    """Draw the scene of a seed as it may be uploaded: at some resolution, half of them square, some on a page."""
    side = rng.uniform(170, 380)
    stretch = 1.0 if rng.random() < 0.5 else 2 ** rng.uniform(-0.55, 0.55)
    resolution_wh = (round(side * stretch), round(side / stretch))
    scene = make_scene(seed, resolution_wh=resolution_wh, supersampling=2 if side < 240 else 1)
    return augment.on_page(rng, scene) if rng.random() < 0.06 else scene


def ask(rng: random.Random, scene: Scene) -> list[tuple[str, str]]:
    """Choose what is asked about a scene: detection, two other tasks, and reading where there is a word."""
    by_task = examples(scene, rng=rng)
    weights = {task: weight for task, weight in _TASK_WEIGHTS.items() if task in by_task}
    chosen = {rng.choice(("<OD>", "<DENSE_REGION_CAPTION>")), *rng.choices(list(weights), list(weights.values()), k=2)}
    if any(thing.writing for thing in scene.things):
        chosen.add(rng.choice(_READING))
    wh = scene.resolution_wh
    return [(_jitter(rng, by_task[task]).prompt(wh), by_task[task].answer(wh)) for task in sorted(chosen)]


def _jitter(rng: random.Random, example: Example) -> Example:
    """Move the sides of an asked region a little in half of the cases: people draw them by hand."""
    if not isinstance(example.prompt_input, tuple) or rng.random() < 0.5:
        return example
    x_min, y_min, x_max, y_max = example.prompt_input
    width, height = x_max - x_min, y_max - y_min

    def move(value: float, side: float) -> float:
        return value + rng.uniform(-0.08, 0.08) * side

    return replace(
        example, prompt_input=(move(x_min, width), move(y_min, height), move(x_max, width), move(y_max, height))
    )


def letter_target(scene: Scene) -> npt.NDArray[np.float32]:
    """Return for each cell which letters and digits have their middle in it: grid x grid x `LETTERS`, 0 or 1."""
    target = np.zeros((GRID, GRID, len(LETTERS)), np.float32)
    for word in (thing.writing for thing in scene.things if thing.writing):
        corners = np.reshape(word.xyxyxyxy or (), (4, 2)) / scene.resolution_wh
        left, right = (corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2
        for letter, share in zip(word.label, letter_middles(word.label), strict=True):
            column, row = ((left + share * (right - left)) * GRID).astype(int)
            target[row, column, LETTERS.index(letter)] = 1
    return target


def dense_target(scene: Scene) -> npt.NDArray[np.float32]:
    """Return for each cell what the smallest thing at its middle is: grid x grid x 6.

    The kind, the color, and the distances from the middle to the four sides of the box as shares of the picture.
    """
    width, height = scene.resolution_wh
    target = np.zeros((GRID, GRID, 6), np.float32)
    target[..., 0] = len(KINDS)
    middles = (np.arange(GRID) + 0.5) / GRID
    boxes = [(t, np.array(t.region.xyxy) / (width, height, width, height)) for t in scene.things]
    for thing, (x_min, y_min, x_max, y_max) in sorted(boxes, key=lambda b: -np.prod(b[1][2:] - b[1][:2])):
        columns, rows = (middles >= x_min) & (middles <= x_max), (middles >= y_min) & (middles <= y_max)
        columns[min(GRID - 1, int((x_min + x_max) / 2 * GRID))] = True
        rows[min(GRID - 1, int((y_min + y_max) / 2 * GRID))] = True
        x, y = np.meshgrid(middles[columns], middles[rows])
        sides = np.stack([x - x_min, y - y_min, x_max - x, y_max - y], -1)
        names = np.broadcast_to((KINDS.index(thing.kind), [*COLORS].index(thing.color)), (*x.shape, 2))
        target[np.ix_(rows, columns)] = np.concatenate([names, sides], -1)
    return target


class Learner(torch.nn.Module):
    """The model, and a head on its image tokens that helps it to learn and is dropped at export."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.model = build_model(tokenizer)
        self.head = torch.nn.Linear(WIDTH, sum(_HEAD))
        torch.nn.init.constant_(self.head.bias[-len(LETTERS) :], -6)  # almost no cell has a given letter
        self._pad, self._start = tokenizer.pad_token_id, tokenizer.eos_token_id
        self._first = token_id(tokenizer, location_token(0))
        self.soft_bins: torch.Tensor
        self.register_buffer("soft_bins", _soft_bins(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the loss of the answers and of the dense head, and how often a text token is right."""
        pixels = (batch.pixels.float() / 255 - MEAN) / STD
        images = self.model.model.get_image_features(pixels).pooler_output
        dense = self._dense_loss(images[:, 1:].float(), batch.cells.flatten(1, 2), batch.letters.flatten(1, 2))
        if not batch.groups:
            return {"dense": dense}
        parts = [self._answer_loss(images, group) for group in batch.groups]
        loss, weight, hits, texts = (torch.stack(values).sum() for values in zip(*parts, strict=True))
        return {"loss": loss / weight, "dense": dense, "hit": hits / texts}

    def _answer_loss(self, images: torch.Tensor, questions: Questions) -> tuple[torch.Tensor, ...]:
        """Return the weighted loss and its weight, the right text tokens and how many there are."""
        rows, prompts, answers = questions
        language = self.model.model.language_model
        embedded = torch.cat([images[rows], language.get_input_embeddings()(prompts)], 1)
        seen = torch.ones(images[rows].shape[:2], dtype=torch.long, device=rows.device)
        mask = torch.cat([seen, (prompts != self._pad).long()], 1)
        encoded = language.encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state
        inputs = torch.cat([torch.full_like(answers[:, :1], self._start), answers[:, :-1]], 1)
        hidden = language.decoder(
            input_ids=inputs, encoder_hidden_states=encoded, encoder_attention_mask=mask, use_cache=False
        ).last_hidden_state
        keep = answers != self._pad
        # A long answer counts more than a short one, but not in proportion: an outline has fifty tokens, a word five.
        weight = (keep.sum(1, keepdim=True).float().rsqrt() * keep)[keep]
        targets, logits = answers[keep], self.model.lm_head(hidden[keep]).float()
        logprobs = functional.log_softmax(logits, -1)
        is_location = (targets >= self._first) & (targets < self._first + NUM_BINS)
        losses = -logprobs.gather(1, targets[:, None])[:, 0]
        bins = logprobs[is_location, self._first : self._first + NUM_BINS]
        losses[is_location] = -(self.soft_bins[targets[is_location] - self._first] * bins).sum(-1)
        hits = (logits.argmax(-1) == targets)[~is_location].sum()
        return (losses * weight).sum(), weight.sum(), hits, (~is_location).sum()

    def _dense_loss(self, images: torch.Tensor, cells: torch.Tensor, letters: torch.Tensor) -> torch.Tensor:
        kinds, colors, sides, spelled = self.head(images).split(_HEAD, -1)
        kind, color = cells[..., 0].long(), cells[..., 1].long()
        is_thing = kind < len(KINDS)
        loss = functional.cross_entropy(kinds.flatten(0, 1), kind.flatten(), label_smoothing=0.02)
        if is_thing.any():
            loss = loss + functional.cross_entropy(colors[is_thing], color[is_thing])
            loss = loss + 4 * functional.l1_loss(sides[is_thing], cells[..., 2:][is_thing])
        # A letter for a letter, since almost all cells have none.
        reading = functional.binary_cross_entropy_with_logits(spelled, letters, reduction="sum")
        return loss + _LETTER_WEIGHT * reading / (letters.sum() + 1)


def _soft_bins() -> torch.Tensor:
    """Return for each bin the distribution that is learned instead: a bell over its neighbors, 1000 x 1000."""
    distance = torch.arange(NUM_BINS)[:, None] - torch.arange(NUM_BINS)[None]
    bell = torch.exp(-(distance**2) / (2 * _LOCATION_SIGMA**2)) * (distance.abs() <= 8)
    return bell / bell.sum(1, keepdim=True)


def learning_rate(step: int, options: Options) -> float:
    """Return the rate of a step: a short rise, a plateau, and a fall to zero, whose start depends on the last step."""
    left = (options.steps - step) / (_DECAY * options.steps)
    return options.learning_rate * min(1.0, (step + 1) / _WARM_UP, left)


class Trainer:
    """A training that can be saved after any step and goes on as if it had not been."""

    def __init__(
        self, options: Options, tokenizer: PreTrainedTokenizerFast, *, start: Path | None = None, device: str = ""
    ) -> None:
        """Begin with random weights, or with those of the checkpoint in the folder `start`, of the same tokenizer."""
        torch.manual_seed(options.seed)
        self.options = options
        self.tokenizer = tokenizer
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.learner = Learner(tokenizer)
        if start:
            weights = Florence2ForConditionalGeneration.from_pretrained(start, dtype=torch.float32).state_dict()
            self.learner.model.load_state_dict(weights)
        self.learner.to(self.device)
        self.optimizer = torch.optim.AdamW(self.learner.parameters(), weight_decay=0.03, betas=(0.9, 0.98))
        self.step = 0
        self.seconds = 0.0

    def run(self, until: int, *, num_workers: int = 0) -> Iterator[dict[str, float]]:
        """Take the steps up to `until`, and yield what each one measured."""
        steps = range(self.step, until)
        drawn = Batches(self.options, self.tokenizer)
        batches = DataLoader(drawn, batch_size=None, sampler=steps, num_workers=num_workers)
        began = time.perf_counter() - self.seconds
        for batch in batches:
            figures = self._take(_to_device(batch, self.device))
            self.step += 1
            self.seconds = time.perf_counter() - began
            yield figures

    def save(self, folder: Path) -> None:
        """Write all that `restore` needs, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, folder / f"{_STATE}.new")
        (folder / f"{_STATE}.new").replace(folder / _STATE)

    def restore(self, folder: Path) -> None:
        """Go on from what `save` wrote. Raises FileNotFoundError."""
        state = torch.load(folder / _STATE, map_location=self.device, weights_only=True)
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _take(self, batch: Batch) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.options)
        with torch.autocast(self.device, torch.bfloat16, enabled=_multiplies_bfloat16(self.device)):
            losses = self.learner(batch)
        (losses.get("loss", 0) + _DENSE_WEIGHT * losses["dense"]).backward()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        self.learner.zero_grad(set_to_none=True)
        return {name: value.item() for name, value in losses.items()}


def _multiplies_bfloat16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    features = torch.cpu.get_capabilities()
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def _to_device(batch: Batch, device: str) -> Batch:
    groups = tuple(Questions(*(tensor.to(device) for tensor in group)) for group in batch.groups)
    return Batch(batch.pixels.to(device), batch.cells.to(device), batch.letters.to(device), groups)


def _write(trainer: Trainer, folder: Path, before: dict[str, Any]) -> None:
    """Write the checkpoint and what is known of its making."""
    export(trainer.learner.model, trainer.tokenizer, folder)
    recipe = {
        "seed": trainer.options.seed,
        "steps": before.get("steps", 0) + trainer.step,
        "scenes_seen": trainer.options.scenes_seen + trainer.step * trainer.options.batch_size,
        "hours": round(before.get("hours", 0) + trainer.seconds / 3600, 2),
        "device": trainer.device,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "runs": [*before.get("runs", []), {"steps": trainer.step, "learning_rate": trainer.options.learning_rate}],
    }
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")


def _read_recipe(folder: Path | None) -> dict[str, Any]:
    path = folder / RECIPE if folder else None
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path and path.is_file() else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m playground.tiny.train", description="Train the tiny checkpoint.")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for saves and the checkpoint")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--start", type=Path, metavar="FOLDER", help="a checkpoint whose weights to begin with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16, help="scenes a step")
    parser.add_argument("--learning-rate", type=float, default=1.2e-3)
    parser.add_argument("--dense-steps", type=int, default=0, help="steps at the beginning that only teach to see")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes beside the training")
    chosen = parser.parse_args(arguments)
    before = _read_recipe(chosen.start)
    seen = before.get("scenes_seen", 0)
    options = Options(
        chosen.seed, chosen.steps, chosen.batch_size, chosen.learning_rate, seen, dense_steps=chosen.dense_steps
    )
    trainer = Trainer(options, _tokenizer(chosen.out, chosen.start), start=chosen.start)
    if (chosen.out / _STATE).is_file():
        trainer.restore(chosen.out)
        print(f"Going on from step {trainer.step}.", flush=True)
    _train(trainer, chosen.out, num_workers=chosen.workers)
    _write(trainer, chosen.out, before)


def _tokenizer(folder: Path, start: Path | None) -> PreTrainedTokenizerFast:
    """Return the tokenizer of this training, which is learnt once: a vocabulary belongs to its weights."""
    for known in (folder, start):
        if known and (known / "tokenizer.json").is_file():
            tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(known)
            return tokenizer
    tokenizer = train_tokenizer()
    tokenizer.save_pretrained(folder)
    return tokenizer


def _train(trainer: Trainer, folder: Path, *, num_workers: int) -> None:
    """Take all steps, with a line and a save now and then."""
    smooth: dict[str, float] = {}
    saved = time.perf_counter()
    for figures in trainer.run(trainer.options.steps, num_workers=num_workers):
        smooth = {name: 0.98 * smooth.get(name, value) + 0.02 * value for name, value in figures.items()}
        if trainer.step % _PRINT_STEPS == 0:
            left = trainer.seconds / trainer.step * (trainer.options.steps - trainer.step) / 60
            shown = "  ".join(f"{name} {value:.3f}" for name, value in smooth.items())
            print(f"step {trainer.step}  {trainer.seconds / 60:.1f} min, {left:.0f} to go  {shown}", flush=True)
        if time.perf_counter() - saved > _SAVE_SECONDS:
            trainer.save(folder)
            saved = time.perf_counter()
    trainer.save(folder)


if __name__ == "__main__":
    main()
