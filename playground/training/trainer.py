"""Train the bundled checkpoint on drawn scenes, on a CPU or on CUDA.

    python -m playground.training --out runs/tiny --steps 20000

If it is stopped, the same command goes on from the last save and ends with the same weights. `--start FOLDER` begins
with the weights of a checkpoint instead of random ones, and `--start-share` keeps a share of them. At the end the
checkpoint lies in `--out`, ready to be loaded.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.data import DataLoader
from transformers import Florence2ForConditionalGeneration, PreTrainedTokenizerFast

from playground.arguments import number, whole
from playground.checkpoints.catalog import RECIPE
from playground.checkpoints.loader import cpu_multiplies_bfloat16
from playground.training.batches import Batch, Batches, Options, QuestionGroup
from playground.training.learner import Learner
from playground.training.model import write_checkpoint
from playground.training.tokenizer import train_tokenizer

_STATE = "state.pt"
_SAVE_SECONDS = 300
_PRINT_STEPS = 50
_WARM_UP = 200  # steps
_DECAY = 0.3  # share of the steps, at the end, over which the learning rate falls to zero
_DENSE_WEIGHT = 0.5


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
            self.learner.model.load_state_dict(_weights(start))
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
    return bool(torch.cuda.is_bf16_supported()) if device == "cuda" else cpu_multiplies_bfloat16()


def _to_device(batch: Batch, device: str) -> Batch:
    groups = tuple(QuestionGroup(*(tensor.to(device) for tensor in group)) for group in batch.groups)
    return Batch(batch.pixels.to(device), batch.cells.to(device), batch.characters.to(device), groups)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    model = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return dict(model.state_dict())


def keep_share(model: torch.nn.Module, start: Path, share: float) -> None:
    """Blend the weights with which a training began into those with which it ended.

    Between the two, what was learned last is there and less is forgotten (WiSE-FT; Wortsman et al., 2022, section 3).
    """
    before = _weights(start)
    with torch.no_grad():
        for name, tensor in model.named_parameters():  # a tied tensor once, where the state has each of its names
            tensor.lerp_(before[name].to(tensor.device), share)


def _write(trainer: Trainer, folder: Path, start: Path | None, before: dict[str, Any]) -> None:
    """Write the checkpoint and what is known of its making."""
    if start:
        keep_share(trainer.learner.model, start, trainer.options.start_share)
    write_checkpoint(trainer.learner.model, trainer.tokenizer, folder)
    recipe = {
        "seed": trainer.options.seed,
        "steps": before.get("steps", 0) + trainer.step,
        "scenes_seen": trainer.options.scenes_seen + trainer.step * trainer.options.batch_size,
        "hours": round(before.get("hours", 0) + trainer.seconds / 3600, 2),
        "device": trainer.device,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "runs": [*before.get("runs", []), asdict(trainer.options)],
    }
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")


def _read_recipe(folder: Path | None) -> dict[str, Any]:
    path = folder / RECIPE if folder else None
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path and path.is_file() else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m playground.training", description="Train the tiny checkpoint.")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for saves and the checkpoint")
    parser.add_argument("--steps", type=whole(1), default=20_000)
    parser.add_argument("--start", type=Path, metavar="FOLDER", help="a checkpoint whose weights to begin with")
    parser.add_argument("--start-share", type=number(0, 1), default=0.0, metavar="SHARE",
                        help="how much of --start the result keeps: 0, nothing, to 1, all")  # fmt: skip
    parser.add_argument("--seed", type=whole(), default=1)
    parser.add_argument("--batch-size", type=whole(1), default=16, help="scenes a step")
    parser.add_argument("--learning-rate", type=number(1e-9), default=1.2e-3)
    parser.add_argument("--dense-steps", type=whole(), default=0, help="steps at the beginning that only teach to see")
    parser.add_argument("--workers", type=whole(), default=1, help="processes that draw scenes beside the training")
    chosen = parser.parse_args(arguments)
    if chosen.start and not (chosen.start / "config.json").is_file():
        parser.error(f"--start must be the folder of a checkpoint, but {chosen.start} has no config.json.")
    if chosen.start_share and not chosen.start:
        parser.error("--start-share needs --start, the checkpoint that it is a share of.")
    before = _read_recipe(chosen.start)
    seen = before.get("scenes_seen", 0)
    options = Options(
        chosen.seed, chosen.steps, chosen.batch_size, chosen.learning_rate, seen, chosen.start_share, chosen.dense_steps
    )
    trainer = Trainer(options, _tokenizer(chosen.out, chosen.start), start=chosen.start)
    if (chosen.out / _STATE).is_file():
        trainer.restore(chosen.out)
        print(f"Going on from step {trainer.step}.", flush=True)
    _train(trainer, chosen.out, num_workers=chosen.workers)
    _write(trainer, chosen.out, chosen.start, before)


def _tokenizer(folder: Path, start: Path | None) -> PreTrainedTokenizerFast:
    """Return the tokenizer of this training, which is learned once: a vocabulary belongs to its weights."""
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
