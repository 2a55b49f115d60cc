"""Turn asks, each a picture and a prompt, into a stream of tokens, for one loaded checkpoint.

Knows the two caches, the model's lock, stopping, and when which pass of the prepared model is due. Knows nothing of
tasks, regions or the web page: what the tokens mean is `grammar`'s business.
"""

import atexit
import copy
import math
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any

import torch
from cachetools import LRUCache
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria
from transformers.modeling_outputs import BaseModelOutput

from playground.checkpoints.catalog import Checkpoint
from playground.checkpoints.loader import LoadedCheckpoint, Placement
from playground.engines import Ask
from playground.errors import EngineFailed
from playground.events import Decoding, Draft, Event, Finished, Progress, RunStage, Token
from playground.inference.decoding import (
    DecodingRules,
    Ended,
    Leading,
    Measures,
    Search,
    Step,
    Written,
    beam_search,
    greedy_search,
)
from playground.inference.detokenizer import Detokenizer, Vocabulary
from playground.inference.prepared import PreparedModel, prepare
from playground.inference.vision import pixel_values

# A location token's `bin_probability` is the mass within this many bins: half a percent of a side, the width of a line.
BIN_TOLERANCE = 5
_MAX_ASKS = 8  # of a run: each takes memory for its keys and values, and a token of each takes its time

_LAST_STEP_SECONDS = 5  # of a run that is in a step while the program ends
_LATE_SECONDS = 30  # that a step may take beyond a run's deadline before nobody waits for it any more

_TensorCache = LRUCache[Any, torch.Tensor]


class _StoppedError(Exception):
    """Unwinds a forward pass whose answer nobody waits for any more."""


class Engine:
    """One loaded checkpoint, ready to answer. Safe to call from several threads: runs take turns.

    `image_encodings` counts the pictures that went through the vision tower. The caches live and die with the engine,
    so that the picture's digest and the prompt are key enough: checkpoint, revision and dtype never change within it.
    """

    def __init__(
        self,
        loaded: LoadedCheckpoint,
        *,
        image_cache_bytes: int,
        prompt_cache_bytes: int,
        rules: type[DecodingRules] = DecodingRules,
    ) -> None:
        """Prepare a checkpoint, which consumes its model."""
        self.checkpoint: Checkpoint = loaded.checkpoint
        self.placement: Placement = loaded.placement
        self.notice = loaded.notice
        self.banned_phrases = loaded.banned_phrases
        self.image_encodings = 0
        self._rules = rules
        self._model: PreparedModel | None = prepare(loaded, rules=rules)
        self._text_config = self._model.text_config
        self._tokenizer = loaded.tokenizer
        self._image_processor = loaded.image_processor
        self._location_ids = loaded.location_ids
        self._vocabulary = Vocabulary.of(loaded.tokenizer)
        self._image_features = _tensor_cache(image_cache_bytes)
        self._encoder_hidden_states = _tensor_cache(prompt_cache_bytes)
        self._lock = threading.Lock()

    @property
    def max_prompt_tokens(self) -> int:
        """How many tokens a prompt may have beside the picture and the two ends of the sentence."""
        return int(self._text_config.max_position_embeddings) - int(self._image_processor.image_seq_length) - 2

    @property
    def max_answer_tokens(self) -> int:
        """How many tokens an answer may have: one for each of the decoder's positions; the last is never fed back."""
        return int(self._text_config.max_position_embeddings)

    @property
    def max_asks(self) -> int:
        """How many asks are answered at the same time."""
        return _MAX_ASKS

    @property
    def cache_bytes(self) -> tuple[int, int]:
        """Bytes held by the image features and by the encoder hidden states."""
        return int(self._image_features.currsize), int(self._encoder_hidden_states.currsize)

    def num_tokens(self, text: str) -> int:
        """Return the number of tokens of a prompt without its two ends."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def close(self) -> None:
        """Drop the model and the caches once no run holds them."""
        with self._lock:
            self._model = None
            self._image_features.clear()
            self._encoder_hidden_states.clear()
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
        """Yield the events of one answer to each ask; the last of each is `Finished`. At most `max_asks`.

        Pictures and prompts that are not cached are encoded together, and answers are written at the same time. Setting
        `stop` ends the run within one decoding step, or one block of the vision tower, with what is there; so does the
        deadline, a time of `time.monotonic`. Closing the generator does the same and does not wait, so that a reader
        that stalls never holds the model. Raises EngineFailed when memory does not suffice, or when a step hangs beyond
        the deadline.
        """
        run = _Run(asks, decoding, stop or threading.Event(), deadline)
        worker = threading.Thread(target=self._work, args=(run,), name="engine-run", daemon=True)
        try:
            worker.start()
        except RuntimeError as error:  # its stack takes memory too
            raise _explain(error) from error
        _running[worker] = run
        num_open = len(asks)
        try:
            while num_open:
                event = run.next_event()
                if isinstance(event, BaseException):
                    raise event
                num_open -= isinstance(event, Finished)
                yield event
        finally:
            run.abandoned.set()

    def _work(self, run: "_Run") -> None:
        try:
            while not self._lock.acquire(timeout=0.05):
                run.raise_if_stopped()
            try:
                with torch.inference_mode():
                    self._answer(run)
            finally:
                self._lock.release()
        except _StoppedError:
            for answer in range(len(run.asks)):
                run.events.put(Finished(is_truncated=False, is_stopped=True, answer=answer))
        except BaseException as error:  # whatever it is, the reader must not wait for ever
            run.events.put(_explain(error))

    def _answer(self, run: "_Run") -> None:
        if self._model is None:
            raise EngineFailed("This checkpoint was unloaded while the question waited. Ask again to load it.")
        states = self._encode(self._model, run)
        run.raise_if_stopped()
        asked = run.decoding.max_new_tokens
        num_new_tokens = max(1, min(asked or self.max_answer_tokens, self.max_answer_tokens))
        config = _generation_config(self._model.generation_config, run.decoding.num_beams, num_new_tokens)
        rules = self._rules.of(config)
        if rules is None:
            for answer, hidden_states in enumerate(states):
                self._leave_to_generate(self._model, run, answer, hidden_states, config)
        elif config.num_beams == 1:
            search = greedy_search(rules, self._measure, num_answers=len(states), max_new_tokens=num_new_tokens)
            self._decode(self._model, run, states, search)
        else:
            search = beam_search(rules, self._measure, config, num_answers=len(states), max_new_tokens=num_new_tokens)
            self._decode(self._model, run, states, search, num_beams=int(config.num_beams))

    # --- Encoding

    def _encode(self, model: PreparedModel, run: "_Run") -> list[torch.Tensor]:
        """Return the encoder hidden states of each ask's picture and prompt, of shape (positions, width)."""
        known = {_key(ask): self._encoder_hidden_states.get(_key(ask)) for ask in run.asks}
        missing = list({_key(ask): ask for ask in run.asks if known[_key(ask)] is None}.values())
        image_ms = prompt_ms = 0.0
        if missing:
            run.events.put(Progress(RunStage.ENCODING_IMAGE))
            features, image_ms = self._encode_images(model, run, missing)
            run.events.put(Progress(RunStage.ENCODING_PROMPT, image_ms))
            started = time.perf_counter()
            for ask, new in zip(missing, self._encode_prompts(model, run, missing, features), strict=True):
                _keep(self._encoder_hidden_states, _key(ask), new)
                known[_key(ask)] = new
            prompt_ms = _milliseconds_since(started)
        run.events.put(Progress(RunStage.WRITING, image_ms, prompt_ms))
        return [hidden_states for ask in run.asks if (hidden_states := known[_key(ask)]) is not None]

    def _encode_images(
        self, model: PreparedModel, run: "_Run", asks: Iterable[Ask]
    ) -> tuple[dict[str, torch.Tensor], float]:
        """Return the features, positions x width, of each ask's picture by its digest, and the time that it took."""
        images = {ask.image.digest: ask.image for ask in asks}
        features = {digest: kept for digest in images if (kept := self._image_features.get(digest)) is not None}
        new = [image for digest, image in images.items() if digest not in features]
        started = time.perf_counter()
        for first in range(0, len(new), model.images_at_once):
            some = new[first : first + model.images_at_once]
            pixels = torch.cat([pixel_values(image.pixels, self._image_processor) for image in some])
            encoded = model.encode_images(pixels.to(model.device), run.raise_if_stopped)
            self.image_encodings += len(some)
            for image, own in zip(some, encoded, strict=True):
                features[image.digest] = own.clone() if len(some) > 1 else own
                _keep(self._image_features, image.digest, features[image.digest])
        return features, _milliseconds_since(started) if new else 0.0

    def _encode_prompts(
        self, model: PreparedModel, run: "_Run", asks: Iterable[Ask], features: dict[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        config, rows = self._text_config, []
        for ask in asks:
            prompt_ids = self._tokenizer(ask.prompt, add_special_tokens=False)["input_ids"]
            embeddings = model.embed_prompt([config.bos_token_id, *prompt_ids, config.eos_token_id])
            rows.append(torch.cat([features[ask.image.digest].to(embeddings.dtype), embeddings]))
        inputs, mask = _stack(rows)
        hidden_states = model.encode_prompts(inputs, mask, run.raise_if_stopped)
        return [states[: len(row)].clone() for states, row in zip(hidden_states, rows, strict=True)]

    # --- Decoding

    def _decode(
        self, model: PreparedModel, run: "_Run", states: Sequence[torch.Tensor], search: Search, *, num_beams: int = 1
    ) -> None:
        """Let a search write the answers: give it logits until it is over, or none once nobody wants more."""
        readers = [Detokenizer(self._vocabulary, answer) for answer in range(len(states))]
        cache = model.decoder.start(*_stack(states), num_beams=num_beams)
        step = next(search)
        self._tell(run, readers, step)
        while step.last_ids:
            logits = None
            if not run.is_stopped:
                cache.reorder(step.parents)
                logits = model.decoder.step(cache, torch.tensor(step.last_ids, device=model.device))
            step = search.send(logits)
            self._tell(run, readers, step)

    def _tell(self, run: "_Run", readers: Sequence[Detokenizer], step: Step) -> None:
        for news in step.news:
            match news:
                case Written(answer, token_id, measures):
                    run.events.put(readers[answer].read(token_id, *measures))
                case Leading(answer, ids):
                    run.events.put(self._draft(answer, ids))
                case Ended(answer, last_id):
                    run.events.put(self._finished(run, last_id, answer))

    def _leave_to_generate(
        self, model: PreparedModel, run: "_Run", answer: int, hidden_states: torch.Tensor, config: GenerationConfig
    ) -> None:
        """Answer by rules that are not covered here: drafts, and at the end the tokens, measured once more."""
        assert model.generate is not None, "rules that are not covered keep the model whole"
        ids: list[int] = []
        if not run.is_stopped:
            sequences = model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=hidden_states[None]),
                attention_mask=torch.ones((1, len(hidden_states)), dtype=torch.long, device=model.device),
                generation_config=config,
                logits_processor=[_Watcher(lambda ids: run.events.put(self._draft(answer, ids)))],
                stopping_criteria=[_StopCriterion(run)],
            )
            start, *ids = sequences[0].tolist()
            while ids and ids[-1] == self._text_config.pad_token_id:
                ids.pop()
            for token in self._measured(model, run, answer, hidden_states, [start, *ids]):
                run.events.put(token)
        run.events.put(self._finished(run, ids[-1] if ids else None, answer))

    def _measured(
        self, model: PreparedModel, run: "_Run", answer: int, hidden_states: torch.Tensor, ids: Sequence[int]
    ) -> Iterable[Token]:
        """Yield the tokens after the first of an answer that is known, with what a step for each of them measures."""
        reader, cache = Detokenizer(self._vocabulary, answer), model.decoder.start(hidden_states[None])
        for last, token_id in pairwise(ids):
            measures: Measures = (None, None)
            if not run.is_stopped:  # measuring a long answer takes seconds, and Stop has promised one
                logits = model.decoder.step(cache, torch.tensor([last], device=model.device))
                measures = self._measure(logits[0], token_id)
            yield reader.read(token_id, *measures)

    def _draft(self, answer: int, ids: Sequence[int]) -> Draft:
        reader = Detokenizer(self._vocabulary, answer)
        return Draft(tuple(reader.read(token_id) for token_id in ids), answer)

    def _measure(self, logits: torch.Tensor, token_id: int) -> Measures:
        """Return the log-probability of a token and, for a location, the mass within BIN_TOLERANCE bins of it."""
        logprobs, locations = logits.float().log_softmax(-1), self._location_ids
        if token_id not in locations:
            return float(logprobs[token_id]), None
        first = max(locations.start, token_id - BIN_TOLERANCE)
        last = min(locations.stop, token_id + BIN_TOLERANCE + 1)
        return float(logprobs[token_id]), min(1.0, float(logprobs[first:last].exp().sum()))

    def _finished(self, run: "_Run", last_id: int | None, answer: int) -> Finished:
        is_complete = last_id is not None and last_id == self._text_config.eos_token_id
        is_stopped = run.is_stopped and not is_complete
        return Finished(is_truncated=not is_complete and not is_stopped, is_stopped=is_stopped, answer=answer)


def _key(ask: Ask) -> tuple[str, str]:
    return ask.image.digest, ask.prompt


def _tensor_cache(max_bytes: int) -> _TensorCache:
    """Return a cache of the most recently used tensors. Not thread-safe: used under the model's lock."""
    return LRUCache(max_bytes, getsizeof=lambda tensor: tensor.nbytes)


def _keep(cache: _TensorCache, key: Any, tensor: torch.Tensor) -> None:
    """Keep a tensor; one that is larger than the whole cache is not kept."""
    if tensor.nbytes <= cache.maxsize:
        cache[key] = tensor


def _generation_config(own: GenerationConfig, num_beams: int, num_new_tokens: int) -> GenerationConfig:
    """Return the checkpoint's own rules, but for how to search and where to end."""
    config: GenerationConfig = copy.deepcopy(own)
    config.num_beams = num_beams
    config.early_stopping = num_beams > 1 and bool(config.early_stopping)
    config.do_sample = False
    config.use_cache = True
    config.max_length = None
    config.max_new_tokens = num_new_tokens
    return config


class _Run:
    """What some answers need to know: their questions, where events go, and whether anybody still wants them."""

    def __init__(self, asks: Sequence[Ask], decoding: Decoding, stop: threading.Event, deadline: float) -> None:
        self.asks = asks
        self.decoding = decoding
        self.events: SimpleQueue[Event | BaseException] = SimpleQueue()
        self.abandoned = threading.Event()
        self._stop = stop
        self._deadline = deadline

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set() or self.abandoned.is_set() or time.monotonic() > self._deadline

    def next_event(self) -> Event | BaseException:
        """Wait for the next event, as long as one can be hoped for."""
        last = self._deadline + _LATE_SECONDS
        try:
            return self.events.get(timeout=None if last == math.inf else max(0.0, last - time.monotonic()))
        except Empty:
            return EngineFailed("The model hangs. Ask again; if that does not help, the playground must be restarted.")

    def raise_if_stopped(self) -> None:
        if self.is_stopped:
            raise _StoppedError


_running: "weakref.WeakKeyDictionary[threading.Thread, _Run]" = weakref.WeakKeyDictionary()


@atexit.register
def _end_runs() -> None:
    """A program that ends while a thread is inside PyTorch is aborted: end what still runs, within one step."""
    for worker, run in list(_running.items()):
        run.abandoned.set()
        worker.join(_LAST_STEP_SECONDS)


class _StopCriterion(StoppingCriteria):
    def __init__(self, run: _Run) -> None:
        self._run = run

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:  # noqa: ARG002
        return torch.full((len(input_ids),), self._run.is_stopped, dtype=torch.bool, device=input_ids.device)


class _Watcher(LogitsProcessor):
    """Changes nothing; reports the ids of the leading beam of each step."""

    def __init__(self, report: Callable[[Sequence[int]], None]) -> None:
        self._report = report

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._report(input_ids[0, 1:].tolist())
        return scores


def _stack(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return positions x width rows as a batch, and the mask that is False where a shorter one is padded, if any is."""
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    stacked = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    mask = torch.arange(stacked.shape[1], device=lengths.device) < lengths[:, None]
    return stacked, None if mask.all() else mask


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _explain(error: BaseException) -> BaseException:
    """Turn what can happen to a healthy program into a sentence; everything else is a bug and stays as it is."""
    # On a CPU, PyTorch reports exhausted memory as a plain RuntimeError that speaks of the allocator, and Python as one
    # that speaks of a thread.
    signs = ("alloc", "start new thread")
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in signs)
    ):
        return EngineFailed("The machine ran out of memory while answering. Try again, or choose a smaller checkpoint.")
    return error
