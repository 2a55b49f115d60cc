"""Turn asks, each a picture and a prompt, into a stream of tokens, for one loaded checkpoint.

Knows the two caches, the model's lock, and when which pass of the prepared model is due. Knows nothing of tasks,
regions or the web page: what the tokens mean is `grammar`'s business.
"""

import copy
import math
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from playground.checkpoints.catalog import Checkpoint
from playground.checkpoints.loader import LoadedCheckpoint, Placement
from playground.checkpoints.plain import Rules
from playground.engines import Ask
from playground.errors import EngineFailed
from playground.events import Attention, Decoding, Event, Finished, Progress, RunStage
from playground.fair_lock import FairLock
from playground.inference.caches import TensorCache
from playground.inference.detokenizer import Detokenizer, Vocabulary
from playground.inference.joining import AskGroup, WaitingLine
from playground.inference.prepared import PreparedModel
from playground.inference.run import Run
from playground.inference.threads import computing_with
from playground.inference.vision import pixel_values
from playground.inference.writing import OpenAnswer, are_wanted, end_answers, stack_rows, write_answers
from playground.pictures.reader import InputImage

_T = TypeVar("_T")


class Engine:
    """One loaded checkpoint, ready to answer. Safe to call from several threads: runs take turns.

    `image_encodings` counts the pictures that went through the vision tower, `answers` those that were written, and
    `turns` how often some were written together. The caches live and die with the engine, so that the picture's digest
    and the prompt are key enough: checkpoint, revision and dtype never change within it. The features of pictures alone
    may be shared, by engines whose loaded checkpoints have the same `sight`.
    """

    def __init__(
        self,
        loaded: LoadedCheckpoint,
        model: PreparedModel,
        *,
        image_cache_bytes: int,
        prompt_cache_bytes: int,
        shared_features: TensorCache[torch.Tensor] | None = None,
    ) -> None:
        """Answer with a model that was prepared from a loaded checkpoint, of which the rest is taken.

        `shared_features` are those of engines of the same sight; without them the engine has `image_cache_bytes` of its
        own.
        """
        self.checkpoint: Checkpoint = loaded.checkpoint
        self.placement: Placement = loaded.placement
        self.notice = loaded.notice
        self.banned_phrases = loaded.banned_phrases
        self.image_encodings = self.answers = self.turns = 0
        self._model: PreparedModel | None = model
        self._max_rows = model.max_rows
        self._max_pictures = model.max_pictures
        self._text_config = model.text_config
        self._tokenizer = loaded.tokenizer
        self._image_processor = loaded.image_processor
        self._vocabulary = Vocabulary.of(loaded.tokenizer)
        self._image_features = shared_features or TensorCache(image_cache_bytes)
        self._encoder_hidden_states = TensorCache[torch.Tensor](prompt_cache_bytes)
        self._lock = FairLock()
        self._line = WaitingLine()

    @property
    def max_prompt_tokens(self) -> int:
        """How many tokens a prompt may have beside the picture and the two ends of the sentence."""
        return int(self._text_config.max_position_embeddings) - int(self._image_processor.image_seq_length) - 2

    @property
    def max_answer_tokens(self) -> int:
        """How many tokens an answer may have: one for each of the decoder's positions; the last is never fed back."""
        return int(self._text_config.max_position_embeddings)

    @property
    def image_side(self) -> int:
        """How many pixels the model sees of a picture's side: to so many each picture is resized."""
        size = self._image_processor.size
        return int(size.get("width") or size.get("shortest_edge") or 0)

    @property
    def max_asks(self) -> int:
        """How many asks are answered at the same time by greedy decoding; more are answered one group after another."""
        return self._max_rows

    @property
    def num_waiting(self) -> int:
        """How many groups of asks wait for the model."""
        return self._line.num_waiting

    @property
    def cache_bytes(self) -> tuple[int, int]:
        """Bytes held by the image features and by the encoder hidden states."""
        return self._image_features.num_bytes, self._encoder_hidden_states.num_bytes

    def num_tokens(self, text: str) -> int:
        """Return the number of tokens of a prompt without its two ends."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def close(self) -> None:
        """Drop the model and the caches once no run holds them."""
        with self._lock.held():
            self._model = None
            self._image_features = TensorCache(0)
            self._encoder_hidden_states = TensorCache(0)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def generate(
        self,
        asks: Sequence[Ask],
        decoding: Decoding = Decoding(),
        *,
        stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> Generator[Event, None, None]:
        """Yield the events of one answer to each ask, of which there may be any number; the last of each is `Finished`.

        Up to `max_asks` at a time, and fewer of many pictures where a picture takes long, their pictures and prompts
        are encoded together, unless they are cached, and their answers written together. Setting `stop` ends the run
        within one decoding step, or one block of the vision tower, with what is there; so does the deadline, a time of
        `time.monotonic`. Closing the generator does the same and does not wait, so that a reader that stalls never
        holds the model. Raises EngineFailed when memory does not suffice, or when a step hangs beyond the deadline.
        """
        return Run(asks, decoding, stop or threading.Event(), deadline).events(self._take_turn)

    def attention(
        self, ask: Ask, answer: str, *, stop: threading.Event | None = None, deadline: float = math.inf
    ) -> Attention:
        """Return where the decoder looked while it wrote an answer, which is given with its tokens, in one pass.

        Stop and deadline as of `generate`; what is stopped raises EngineFailed.
        """
        looked: list[Attention] = []

        def look(run: Run) -> None:
            with self._turn(run) as model:
                looked.append(self._look(model, run, ask, answer))
            run.tell(Finished(is_truncated=False, is_stopped=False))

        for _ in Run([ask], Decoding(), stop or threading.Event(), deadline).events(look):
            pass
        if not looked:
            raise EngineFailed("It was stopped before it was known where the model looked. Ask again.")
        return looked[0]

    def features(
        self, image: InputImage, *, stop: threading.Event | None = None, deadline: float = math.inf
    ) -> npt.NDArray[np.float32]:
        """Return the features of a picture, rows x columns x width, as they lie over it.

        Stop and deadline as of `generate`; what is stopped raises EngineFailed.
        """
        taken: list[torch.Tensor] = []

        def take(run: Run) -> None:
            with self._turn(run) as model:
                taken.append(self._encode_images(model, run, run.asks)[0][image.digest])
            run.tell(Finished(is_truncated=False, is_stopped=False))

        for _ in Run([Ask(image, "")], Decoding(), stop or threading.Event(), deadline).events(take):
            pass
        if not taken:
            raise EngineFailed("It was stopped before the picture was seen. Ask again.")
        side = math.isqrt(len(taken[0]))  # the mean of all stands before the grid
        grid: npt.NDArray[np.float32] = taken[0][-side * side :].reshape(side, side, -1).float().cpu().numpy()
        return grid

    def _look(self, model: PreparedModel, run: Run, ask: Ask, answer: str) -> Attention:
        (hidden_states,) = self._encode(model, run, [ask])
        read = self._tokenizer(answer, add_special_tokens=False, return_offsets_mapping=True)
        ids, spans = read["input_ids"][: self.max_answer_tokens], read["offset_mapping"][: self.max_answer_tokens]
        fed = torch.tensor([model.generation_config.decoder_start_token_id, *ids], device=model.device)
        weights = model.decoder.cross_attention(hidden_states, fed[:-1])
        return Attention(
            tuple(answer[start:end] for start, end in spans),
            cells_of(weights, int(self._image_processor.image_seq_length)),
        )

    def _take_turn(self, run: Run) -> None:
        for answers in _together(run.asks, self.max_asks, self._max_pictures):
            group = AskGroup(run, answers)
            with self._line.waiting(group), self._turn(run) as model:  # so that whoever waits is let in between
                self._line.leave(group)
                if not group.is_answered:
                    self._answer(model, group)

    @contextmanager
    def _turn(self, run: Run) -> Iterator[PreparedModel]:
        """Wait for this run's turn, and let it have the model."""
        with self._lock.held(run.raise_if_stopped), torch.inference_mode():
            if self._model is None:
                raise EngineFailed("This checkpoint was unloaded while the question waited. Ask again to load it.")
            with computing_with(self._model.num_threads):
                yield self._model

    def _answer(self, model: PreparedModel, group: AskGroup) -> None:
        """Answer a group, and along with it what waits and delays it little: what is decoded alike.

        What fails together is tried again alone, each group in its own turn, so that nobody loses an answer by others.
        """
        run, num_beams = group.run, group.run.decoding.num_beams
        asked = run.decoding.max_new_tokens or self.max_answer_tokens
        config = _generation_config(model.generation_config, num_beams, max(1, min(asked, self.max_answer_tokens)))
        run.raise_if_stopped()
        rows = self._encoded(model, group)
        free = self._num_at_once(config) - len(rows) if model.rules.of(config) else 0
        others = self._line.take_along(group, free, self._is_quick)
        try:
            self._write_along(model, rows, others, config)
            return
        except Exception:
            if not others:
                raise
        self._write_all(model, self._encoded(model, group), config)

    def _write_along(
        self, model: PreparedModel, rows: Sequence[OpenAnswer], others: Sequence[AskGroup], config: Rules
    ) -> None:
        together, taken = [*rows], []
        for other in others:
            with suppress(Exception):  # its own, of which its own turn tells
                together += self._encoded(model, other)
                taken.append(other)
        self._write_all(model, together, config)
        for other in taken:
            other.is_answered = True

    def _num_at_once(self, config: Rules) -> int:
        return max(1, self._max_rows // int(config.num_beams))

    def _is_quick(self, group: AskGroup) -> bool:
        """Whether nobody waits long for a group's pictures."""
        are_quick = self._max_pictures == self._max_rows
        return are_quick or all(self._image_features.get(ask.image.digest) is not None for ask in group.asks)

    def _encoded(self, model: PreparedModel, group: AskGroup) -> list[OpenAnswer]:
        """Return what is to be written: of a group that is tried again, the answers that are not finished."""
        run, answers = group.run, group.open_answers
        states = self._encode(model, run, [run.asks[answer] for answer in answers])
        return [
            OpenAnswer(run, Detokenizer(self._vocabulary, answer), some, run.num_tokens[answer])
            for answer, some in zip(answers, states, strict=True)
        ]

    # --- Encoding

    def _encode(self, model: PreparedModel, run: Run, asks: Sequence[Ask]) -> list[torch.Tensor]:
        """Return the encoder hidden states of each ask's picture and prompt, of shape (positions, width)."""
        known = {_key(ask): self._encoder_hidden_states.get(_key(ask)) for ask in asks}
        missing = list({_key(ask): ask for ask in asks if known[_key(ask)] is None}.values())
        image_ms = prompt_ms = 0.0
        if missing:
            run.tell(Progress(RunStage.ENCODING_IMAGE))
            features, image_ms = self._encode_images(model, run, missing)
            run.tell(Progress(RunStage.ENCODING_PROMPT, image_ms))
            started = time.perf_counter()
            for ask, new in zip(missing, self._encode_prompts(model, run, missing, features), strict=True):
                self._encoder_hidden_states.keep(_key(ask), new)
                known[_key(ask)] = new
            model.wait()
            prompt_ms = _milliseconds_since(started)
        run.tell(Progress(RunStage.WRITING, image_ms, prompt_ms))
        return [hidden_states for ask in asks if (hidden_states := known[_key(ask)]) is not None]

    def _encode_images(
        self, model: PreparedModel, run: Run, asks: Iterable[Ask]
    ) -> tuple[dict[str, torch.Tensor], float]:
        """Return the features, positions x width, of each ask's picture by its digest, and the time that it took."""
        images = {ask.image.digest: ask.image for ask in asks}
        features = {digest: kept for digest in images if (kept := self._image_features.get(digest)) is not None}
        new = [image for digest, image in images.items() if digest not in features]
        started = time.perf_counter()
        for some in _groups(new, model.images_at_once):
            with ThreadPoolExecutor(len(some)) as threads:  # resizing takes longer than what a GPU does then
                pixels = torch.cat([*threads.map(partial(self._pixels, model), some)])
            encoded = model.encode_images(pixels, run.raise_if_stopped)
            self.image_encodings += len(some)
            for image, row in zip(some, encoded, strict=True):
                features[image.digest] = row.clone() if len(some) > 1 else row  # a row would keep them all
                self._image_features.keep(image.digest, features[image.digest])
        model.wait()
        return features, _milliseconds_since(started) if new else 0.0

    def _pixels(self, model: PreparedModel, image: InputImage) -> torch.Tensor:
        return pixel_values(image.pixels, self._image_processor, model.device)

    def _encode_prompts(
        self, model: PreparedModel, run: Run, asks: Iterable[Ask], features: dict[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        config, rows = self._text_config, []
        for ask in asks:
            prompt_ids = self._tokenizer(ask.prompt, add_special_tokens=False)["input_ids"]
            embeddings = model.embed_prompt([config.bos_token_id, *prompt_ids, config.eos_token_id])
            rows.append(torch.cat([features[ask.image.digest].to(embeddings.dtype), embeddings]))
        inputs, mask = stack_rows(rows)
        hidden_states = model.encode_prompts(inputs, mask, run.raise_if_stopped)
        return [states[: len(row)].clone() for states, row in zip(hidden_states, rows, strict=True)]

    # --- Decoding

    def _write_all(self, model: PreparedModel, rows: Sequence[OpenAnswer], config: Rules) -> None:
        for some in _groups(rows, self._num_at_once(config)):
            if are_wanted(some):
                self.turns += 1
                self.answers += len(some)
                write_answers(model, some, config)
            else:
                end_answers(some)


def cells_of(weights: torch.Tensor, num_positions: int) -> npt.NDArray[np.float32]:
    """Return the part of the attention that goes to the picture, tokens x layers x rows x columns.

    Of the positions of a picture, which come first, the last ones are its square grid; before it is the mean of all.
    """
    side = math.isqrt(num_positions)
    of_grid = weights[:, :, num_positions - side * side : num_positions].transpose(0, 1)
    cells: npt.NDArray[np.float32] = of_grid.reshape(*of_grid.shape[:2], side, side).cpu().numpy()
    return cells


def _groups(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Yield the items in groups of a size; the last may be smaller."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _together(asks: Sequence[Ask], most: int, most_pictures: int) -> Iterator[Sequence[int]]:
    """Yield the numbers of asks in groups of a size, or fewer where they are about more pictures than that."""
    group: list[int] = []
    pictures: set[str] = set()
    for number, ask in enumerate(asks):
        if len(group) == most or len(pictures | {ask.image.digest}) > most_pictures:
            yield group
            group, pictures = [], set()
        group.append(number)
        pictures.add(ask.image.digest)
    if group:
        yield group


def _key(ask: Ask) -> tuple[str, str]:
    return ask.image.digest, ask.prompt


def _generation_config(own: Rules, num_beams: int, num_new_tokens: int) -> Rules:
    """Return the checkpoint's own rules, but for how to search and where to end."""
    config: Rules = copy.deepcopy(own)
    config.num_beams = num_beams
    config.early_stopping = (config.early_stopping or False) if num_beams > 1 else False
    config.do_sample = False
    config.use_cache = True
    config.max_length = None
    config.max_new_tokens = num_new_tokens
    return config


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
