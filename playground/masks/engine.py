"""Turn prompts about a picture into outlines, for one loaded checkpoint that makes masks.

Knows the cache of features, the model's lock, and when which pass is due. Knows nothing of regions or the web page.
"""

import math
import threading
from collections.abc import Generator, Iterator, Sequence

import torch

from playground.engines import Ask
from playground.events import Decoding, Finished, Progress, RunStage
from playground.fair_lock import FairLock
from playground.inference.caches import TensorCache
from playground.inference.run import Run
from playground.masks.model import Features, MaskModel
from playground.masks.outlining import outlines_of
from playground.masks.prompts import MaskOutline, MaskPrompt
from playground.pictures.reader import InputImage


class MaskEngine:
    """Safe to call from several threads: they take turns.

    `image_encodings` counts the pictures that went through the vision tower. The cache lives and dies with the engine,
    so that the picture's digest is key enough: checkpoint, revision and dtype never change within it.
    """

    def __init__(self, model: MaskModel, *, cache_bytes: int) -> None:
        self.image_encodings = 0
        self.details = " ".join(filter(None, (f"{model.placement}.", model.notice)))
        self._model = model
        self._features = TensorCache[Features](cache_bytes)
        self._lock = FairLock()

    def outlines(
        self,
        image: InputImage,
        prompts: Sequence[MaskPrompt],
        *,
        stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> Generator[tuple[int, MaskOutline], None, None]:
        """Yield the place of each prompt and its outline, as soon as it is there.

        Setting `stop`, or the deadline, a time of `time.monotonic`, ends it within one block of the vision tower or one
        batch of prompts, with what is there. Closing the generator does the same, and does not wait. Raises
        EngineFailed when memory does not suffice, or when a step hangs beyond the deadline.
        """
        made: list[tuple[int, MaskOutline]] = []

        def work(run: Run) -> None:
            with self._lock.held(run.raise_if_stopped), torch.inference_mode():
                features = self._encode(image, run)
                for places in _batches(prompts, self._model.boxes_at_once):
                    run.raise_if_stopped()
                    some = [prompts[place] for place in places]
                    logits, ious = self._model.decode(features, some, image.resolution_wh)
                    for place, mask, iou in zip(places, logits, ious, strict=True):
                        made.append((place, MaskOutline(outlines_of(mask.numpy(), image.resolution_wh), iou)))
                    run.tell(Progress(RunStage.WRITING))
            run.tell(Finished(is_truncated=False, is_stopped=False))

        num_told = 0
        for _ in Run([Ask(image, "")], Decoding(), stop or threading.Event(), deadline).events(work):
            while num_told < len(made):
                yield made[num_told]
                num_told += 1

    def _encode(self, image: InputImage, run: Run) -> Features:
        kept = self._features.get(image.digest)
        if kept is not None:
            return kept
        run.tell(Progress(RunStage.ENCODING_IMAGE))
        features = self._model.encode(image.pixels, run.raise_if_stopped)
        self.image_encodings += 1
        self._features.keep(image.digest, features)
        return features


def _batches(prompts: Sequence[MaskPrompt], size: int) -> Iterator[list[int]]:
    """Yield the places of prompts that go through the model together: one with points goes alone."""
    boxes = [place for place, prompt in enumerate(prompts) if not prompt.points]
    yield from ([place] for place, prompt in enumerate(prompts) if prompt.points)
    yield from (boxes[first : first + size] for first in range(0, len(boxes), size))
