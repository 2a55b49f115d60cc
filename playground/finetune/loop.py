"""A teaching from the first lesson to the adapter on disk, as a stream of how far it is.

transformers' `Trainer` is not used: it calls back where a page wants a generator that it can close, encodes a picture
anew in each step where the features of a frozen tower are kept, and would measure with another decoder than the one
that answers people. Knows no command line and no page.
"""

import hashlib
import json
import math
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from playground.checkpoints import hub, loader
from playground.checkpoints.catalog import BUNDLED, resolve
from playground.checkpoints.files import ADAPTER_WEIGHTS, weight_files
from playground.checkpoints.loader import SMALL_MODEL, LoadedCheckpoint
from playground.errors import SettingsInvalid
from playground.finetune.batches import LessonBatches
from playground.finetune.card import TaughtAdapter, write_card
from playground.finetune.curves import draw_teaching
from playground.finetune.learner import LoraLearner
from playground.finetune.lessons import Lesson
from playground.finetune.lora import adapter_weights, check_peft, set_adapter_weights, write_adapter
from playground.finetune.measuring import ask_lessons, predictor_of, quality_of
from playground.finetune.out_folder import OutFolder
from playground.finetune.teaching import (
    HeldOutAnswer,
    MeasuredPoint,
    Teaching,
    TeachingProgress,
    TeachingStage,
    number_of,
)
from playground.finetune.words import words_to_learn
from playground.inference.memory import return_memory

CURVES = "curves.svg"
_SAVE_SECONDS = 20.0
_WARM_UP = 0.05  # share of the steps
_SMOOTHING = 0.9
_SPARE_TOKENS = 16  # of a held-out answer, beyond the longest true one


class _LearnedPart(NamedTuple):
    """What came of a part of a batch: sums over its tokens, of which each counts as its weight says."""

    loss: float
    weight: float
    gradients: tuple[torch.Tensor, ...]


def finetune(
    lessons: Sequence[Lesson], held_out: Sequence[Lesson], base: str, teaching: Teaching, out: Path | str
) -> Generator[TeachingProgress, None, None]:
    """Teach a checkpoint, by name or folder, and yield how far it is; the adapter is in `out` when the last one came.

    Closing the generator ends it within a step; the same call goes on from there, as after a kill, and ends with the
    same weights. Lessons are taken as they are: `checks.check_lessons` says before which can be used. Without held-out
    lessons nothing is measured and the last weights are kept, else the best.

    Raises SettingsInvalid where peft is missing or `out` holds another teaching, CheckpointUnavailable, ImageRejected.
    """
    check_peft()
    progress = TeachingProgress(TeachingStage.LOADING, steps=teaching.steps)
    yield progress
    loaded = load_to_teach(base)
    yield from LoraTeaching(loaded, lessons, held_out, teaching, Path(out)).run()


def load_to_teach(base: str) -> LoadedCheckpoint:
    """Return a checkpoint in float32, which small changes need. Raises CheckpointUnavailable, SettingsInvalid."""
    checkpoint = resolve(base)
    if checkpoint.base is not None:
        raise SettingsInvalid(
            f"{checkpoint.title} has an adapter already. Teach {checkpoint.base.name} itself, or the whole checkpoint "
            "that `python -m playground.checkpoints.convert` writes of both."
        )
    folder = hub.find_local(checkpoint)
    if folder is None:
        folder = hub.download(checkpoint, lambda _: None, math.inf)
    return loader.load(checkpoint, folder, precision="float32")


class LoraTeaching:
    """A teaching that can be left after any step and goes on as if it had not been."""

    def __init__(
        self,
        loaded: LoadedCheckpoint,
        lessons: Sequence[Lesson],
        held_out: Sequence[Lesson],
        teaching: Teaching,
        out: Path,
    ) -> None:
        """Take a checkpoint's model. Raises SettingsInvalid without lessons, or where `out` holds another teaching."""
        self._lessons = lessons
        self._held_out = held_out[: teaching.max_measured]
        if not lessons:
            raise SettingsInvalid("There is nothing to learn from. Give at least one labeled picture.")
        is_small = sum(weights.numel() for weights in loaded.model.parameters()) < SMALL_MODEL
        teaching = teaching.settled(is_small=is_small, is_bundled=loaded.checkpoint.name == BUNDLED)
        self.teaching, self._rate = teaching, teaching.learning_rate or 0.0
        words = words_to_learn(loaded, lessons)
        self._learner = LoraLearner(loaded, teaching, words)
        self._parameters = self._learner.parameters
        self._batches = LessonBatches(self._learner, lessons, teaching)
        self._held_out_batches = LessonBatches(self._learner, self._held_out, replace(teaching, views=1))
        self._optimizer = torch.optim.AdamW(self._parameters, lr=self._rate, weight_decay=0.0, fused=True)
        self._identity = _identity(loaded.checkpoint.name, lessons, held_out, teaching, sorted(words))
        self._threads = ThreadPoolExecutor(thread_name_prefix="teaching")
        self._longest = 0
        self._step, self._seconds, self._is_changing = 0, 0.0, False
        self._losses: list[float] = []  # since the last point
        self._smooth: float | None = None
        self._points: tuple[MeasuredPoint, ...] = ()
        self._answers: tuple[HeldOutAnswer, ...] = ()
        self._quality_name = ""
        self._best: dict[str, torch.Tensor] = {}
        self._out = OutFolder(out)
        try:
            self._restore()
        except BaseException:
            self._out.give_back()
            raise

    def run(self) -> Generator[TeachingProgress, None, None]:
        """Take the steps that are left, measure now and then, and write the adapter."""
        began = time.perf_counter() - self._seconds
        saved = time.perf_counter()
        try:
            if not self._points:
                yield from self._measure()
            while self._step < self.teaching.steps and not self._is_over:
                self._take()
                self._seconds = time.perf_counter() - began
                yield self._progress(TeachingStage.TEACHING)
                if self._step % self.teaching.measure_every == 0 or self._step == self.teaching.steps or self._is_late:
                    yield from self._measure()
                if time.perf_counter() - saved > _SAVE_SECONDS:
                    self._save()
                    saved = time.perf_counter()
                self._seconds = time.perf_counter() - began
            self._save()  # from which it goes on if it is killed before all files are there
            self._write()
            self._out.forget_state()
        except BaseException as left:  # GeneratorExit too: whoever closes it may go on later
            self._leave(is_on_purpose=isinstance(left, GeneratorExit | KeyboardInterrupt))
            raise
        finally:
            self._threads.shutdown()
            self._out.give_back()
        yield replace(
            self._progress(TeachingStage.DONE),
            folder=self._out.path,
            is_stopped_early=self._step < self.teaching.steps,
        )

    @property
    def _is_late(self) -> bool:
        return self.teaching.max_seconds is not None and self._seconds > self.teaching.max_seconds

    @property
    def _is_over(self) -> bool:
        """Whether it took as long as it may, or no measurement of late was better than those before."""
        best, patience = self._best_point, self.teaching.patience
        since = [point for point in self._points if best and point.step > best.step]
        return self._is_late or bool(self._held_out and patience and len(since) >= patience)

    @property
    def _best_point(self) -> MeasuredPoint | None:
        """The point with the lowest held-out loss, which says more than some two dozen answers; else the last."""
        measured = [(point.held_out_loss, point) for point in self._points if point.held_out_loss is not None]
        if measured:
            return min(measured, key=lambda pair: pair[0])[1]
        return self._points[-1] if self._points else None

    def _take(self) -> None:
        """Take one step."""
        step, size = self._step, self.teaching.batch_size
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * learning_rate_share(step, self.teaching)
        chosen = self._batches.at(step)
        with torch.random.fork_rng(devices=[]), self._learner.threads():
            torch.manual_seed(number_of(f"{self.teaching.seed} {step}"))
            self._learner.set_learning(is_learning=True)
            losses = [self._learn(chosen[first : first + size]) for first in range(0, len(chosen), size)]
            total = sum(losses) / len(losses)
            if not math.isfinite(total):
                raise SettingsInvalid(
                    f"The loss is no number any more after step {step}: the learning rate of {self._rate:g} is too "
                    "high. Give a tenth of it, and another folder."
                )
            torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
            self._is_changing = True  # Ctrl+C may come now, and half a step is none to go on from
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        self._step += 1
        self._is_changing = False
        self._losses.append(total)
        self._smooth = total if self._smooth is None else _SMOOTHING * self._smooth + (1 - _SMOOTHING) * total

    def _learn(self, chosen: Sequence[tuple[int, int]]) -> float:
        """Add the gradients of a batch, and return its loss."""
        count = self._learner.parts_of(len(chosen))
        parts = [chosen[len(chosen) * n // count : len(chosen) * (n + 1) // count] for n in range(count)]
        learned = [self._learn_part(chosen)] if count == 1 else list(self._threads.map(self._learn_part, parts))
        weight = sum(part.weight for part in learned)
        for place, parameter in enumerate(self._parameters):
            # In the order of the parts, so that the sum is the same each time.
            total = torch.stack([part.gradients[place] for part in learned]).sum(0)
            gradient = total / (weight * self.teaching.accumulate)
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return sum(part.loss for part in learned) / weight

    def _learn_part(self, chosen: Sequence[tuple[int, int]]) -> _LearnedPart:
        with self._learner.threads():
            loss, weight = self._learner.summed_loss(*self._batches.batch(chosen))
            return _LearnedPart(loss.item(), weight.item(), torch.autograd.grad(loss, self._parameters))

    def _measure(self) -> Generator[TeachingProgress, None, None]:
        """Ask about the held-out pictures, and keep the weights where the answers are the best so far."""
        yield self._progress(TeachingStage.MEASURING)
        loss = sum(self._losses) / len(self._losses) if self._losses else None
        point = MeasuredPoint(self._step, loss)
        if self._held_out:
            answers = self._ask()
            quality = quality_of(self._held_out, answers)
            self._answers, self._quality_name = tuple(answers), quality.name
            point = replace(point, held_out_loss=self._held_out_loss(), quality=quality.value)
        self._points, self._losses = (*self._points, point), []
        if self._best_point == point:
            self._best = adapter_weights(self._learner.adapted)
        yield self._progress(TeachingStage.MEASURING)

    def _ask(self) -> list[HeldOutAnswer]:
        predictor = predictor_of(self._learner.loaded, self._learner.adapted)
        asked = ask_lessons(predictor, self._held_out, self._longest_answer() + _SPARE_TOKENS)
        answers = [answer for _, answer in sorted(asked, key=lambda pair: pair[0])]
        del predictor
        return_memory()
        return answers

    def _held_out_loss(self) -> float:
        self._learner.set_learning(is_learning=False)
        size, losses = self.teaching.batch_size, []
        with torch.no_grad(), self._learner.threads():
            for first in range(0, len(self._held_out), size):
                chosen = [(place, 0) for place in range(first, min(first + size, len(self._held_out)))]
                losses += [self._learner.loss(*self._held_out_batches.batch(chosen)).item()] * len(chosen)
        return sum(losses) / len(losses)

    def _longest_answer(self) -> int:
        """Return how many tokens the longest of the held-out answers has: one that babbles must not take hours."""
        if not self._longest:
            answers = (lesson.answer(lesson.read().resolution_wh) for lesson in self._held_out)
            self._longest = max(map(self._learner.num_tokens, answers))
        return self._longest

    def _progress(self, stage: TeachingStage) -> TeachingProgress:
        left = self._seconds / self._step * (self.teaching.steps - self._step) if self._step else None
        if left is not None and self.teaching.max_seconds is not None:
            left = min(left, max(0.0, self.teaching.max_seconds - self._seconds))
        return TeachingProgress(
            stage, self._step, self.teaching.steps, self._smooth, self._seconds, left,
            self._quality_name, self._points, self._answers,
        )  # fmt: skip

    # --- Files

    def _leave(self, *, is_on_purpose: bool) -> None:
        """Save what was learned so far; for whoever has seen enough as an adapter too."""
        if self._is_changing:
            return
        self._save()
        if is_on_purpose and self._learned and self._learned[0].step:
            self._write()

    def _save(self) -> None:
        """Write all that `_restore` needs."""
        state = {
            "identity": self._identity,
            "weights": adapter_weights(self._learner.adapted),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "step": self._step,
            "seconds": self._seconds,
            "losses": self._losses,
            "smooth": self._smooth,
            "points": [[p.step, p.loss, p.held_out_loss, p.quality] for p in self._points],
            "quality_name": self._quality_name,
        }
        self._out.write_state(state)

    def _restore(self) -> None:
        state = self._out.read_state()
        if state is None:
            return
        if state.get("identity") != self._identity:
            raise SettingsInvalid(
                f"{self._out.path} holds a teaching of other lessons or settings that was not finished. Choose another "
                "folder, or delete it."
            )
        set_adapter_weights(self._learner.adapted, state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._best, self._step, self._seconds = state["best"], state["step"], state["seconds"]
        self._losses, self._smooth, self._quality_name = state["losses"], state["smooth"], state["quality_name"]
        self._points = tuple(MeasuredPoint(*point) for point in state["points"])

    @property
    def _learned(self) -> tuple[MeasuredPoint, dict[str, torch.Tensor]] | None:
        """The best weights that were measured, and when; without held-out lessons the last ones."""
        if not self._held_out:
            return MeasuredPoint(self._step, self._smooth), adapter_weights(self._learner.adapted)
        return (self._best_point, self._best) if self._best_point else None

    def _write(self) -> None:
        if self._learned is None:
            return
        point, weights = self._learned
        set_adapter_weights(self._learner.adapted, weights)
        with self._out.writing():
            write_adapter(self._learner.adapted, self._out.path)
            curves = draw_teaching(self._points, self._quality_name)
            (self._out.path / CURVES).write_text(curves, encoding="utf-8")
            (self._out.path / "README.md").write_text(write_card(self._taught(point)), encoding="utf-8")

    def _taught(self, kept: MeasuredPoint) -> TaughtAdapter:
        checkpoint, folder = self._learner.loaded.checkpoint, hub.find_local(self._learner.loaded.checkpoint)
        files = [self._out.path / ADAPTER_WEIGHTS, *(weight_files(folder) if folder else ())]
        versions = {name: version(name) for name in ("peft", "torch", "transformers")}
        return TaughtAdapter(
            checkpoint, self._lessons, self._held_out, self.teaching, self._points[0], kept, self._quality_name,
            self._seconds, {file.name: _sha256(file) for file in files}, versions,
        )  # fmt: skip


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def learning_rate_share(step: int, teaching: Teaching) -> float:
    """Return the share of the learning rate that a step has: a short rise, a plateau, and a fall towards zero."""
    rise = (step + 1) / max(1.0, _WARM_UP * teaching.steps)
    return min(1.0, rise, (teaching.steps - step) / (teaching.decay * teaching.steps))


def _identity(
    base: str, lessons: Sequence[Lesson], held_out: Sequence[Lesson], teaching: Teaching, words: Sequence[int]
) -> str:
    told = [
        [(le.name, le.question.to_dict(), [r.to_dict() for r in le.regions], le.text, le.is_rehearsed) for le in side]
        for side in (lessons, held_out)
    ]
    settings = replace(teaching, max_seconds=None).to_dict()  # how long it may take changes no step
    return hashlib.sha256(json.dumps([base, settings, told, words]).encode()).hexdigest()
