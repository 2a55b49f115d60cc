"""Turn a picture and prompts into a stream of tokens, for one loaded checkpoint.

Knows the two caches, the model's lock, stopping, and when which pass of `florence2` is due. Knows nothing of tasks,
regions or the web page: what the tokens mean is `grammar`'s business.
"""

import atexit
import codecs
import copy
import math
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.modeling_outputs import BaseModelOutput

from playground.checkpoints import LoadedCheckpoint
from playground.errors import EngineFailed
from playground.florence2.choice import BeamSearch, ChoiceRules
from playground.florence2.forward import Forward
from playground.florence2.vision import pixel_values
from playground.images import InputImage
from playground.results import Decoding, Draft, Event, Finished, Progress, Stage, Token

# A location token's `bin_probability` is the mass within this many bins: half a percent of a side, the width of a line.
BIN_TOLERANCE = 5
_MAX_PROMPTS = 8  # of a run: each takes memory for its keys and values, and a token of each takes its time

_LAST_STEP_SECONDS = 5  # of a run that is in a step while the program ends
_LATE_SECONDS = 30  # that a step may take beyond a run's deadline before nobody waits for it any more


class _StoppedError(Exception):
    """Unwinds a forward pass whose answer nobody waits for any more."""


class TensorCache:
    """Keep the most recently used tensors, up to a number of bytes. Not thread-safe: used under the model's lock."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._tensors: OrderedDict[Any, torch.Tensor] = OrderedDict()
        self.num_bytes = 0

    def get(self, key: Any) -> torch.Tensor | None:
        """Return the tensor of this key, now the most recently used one, or None."""
        if key in self._tensors:
            self._tensors.move_to_end(key)
        return self._tensors.get(key)

    def put(self, key: Any, tensor: torch.Tensor) -> None:
        """Keep a tensor; one that is larger than the whole cache is not kept."""
        if tensor.nbytes > self._max_bytes:
            return
        if key in self._tensors:
            self.num_bytes -= self._tensors.pop(key).nbytes
        self._tensors[key] = tensor
        self.num_bytes += tensor.nbytes
        while self.num_bytes > self._max_bytes:
            _, oldest = self._tensors.popitem(last=False)
            self.num_bytes -= oldest.nbytes


class TokenReader:
    """Turn token ids into `Token`s, a letter at a time when it is complete (a letter may span several tokens).

    `pieces` is the vocabulary by id, in the byte-level alphabet of BART's tokenizer.
    """

    def __init__(self, pieces: Sequence[str], special_ids: frozenset[int], answer: int = 0) -> None:
        self._answer = answer
        self._pieces = pieces
        self._special_ids = special_ids
        self._byte_of = {letter: byte for byte, letter in bytes_to_unicode().items()}  # type: ignore[no-untyped-call]
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def read(self, token_id: int, logprob: float | None = None, bin_probability: float | None = None) -> Token:
        """Return the next token of the answer."""
        piece = self._pieces[token_id] if token_id < len(self._pieces) else ""
        is_special = token_id in self._special_ids
        if is_special:
            self._decoder.reset()
            text = piece
        else:
            text = self._decoder.decode(self._bytes(piece))
        return Token(token_id, text, logprob, bin_probability, is_special, self._answer)

    def _bytes(self, piece: str) -> bytes:
        if all(letter in self._byte_of for letter in piece):
            return bytes(self._byte_of[letter] for letter in piece)
        return piece.encode()  # an added token is stored as plain text, not in the byte-level alphabet


class Engine:
    """One loaded checkpoint, ready to answer. Safe to call from several threads: runs take turns.

    `image_encodings` counts the passes through the vision tower. The caches live and die with the engine, so that
    the picture's digest and the prompt are key enough: checkpoint, revision and dtype never change within it.
    """

    def __init__(
        self,
        loaded: LoadedCheckpoint,
        *,
        image_cache_bytes: int,
        prompt_cache_bytes: int,
        rules: type[ChoiceRules] = ChoiceRules,
    ) -> None:
        self.loaded = loaded
        self._rules = rules
        self.image_encodings = 0
        self._model = loaded.model
        # It would put an end under an answer that the budget has cut. `generate` takes what a configuration leaves
        # open from the model's own, so that the rule must go there.
        loaded.model.generation_config.forced_eos_token_id = None
        is_covered = rules.of(loaded.model.generation_config) is not None
        self._forward = Forward(loaded.model, eight_bits=loaded.placement.eight_bits, take_decoder=is_covered)
        self._tokenizer = loaded.tokenizer
        self._pieces = loaded.tokenizer.convert_ids_to_tokens(range(len(loaded.tokenizer)))
        # Not all tokenizers mark the task tokens as special; a fine-tune's added words are none.
        self._special_ids = frozenset(
            token_id
            for token_id, token in loaded.tokenizer.added_tokens_decoder.items()
            if token.special or token.content.startswith("<")
        )
        self._image_features = TensorCache(image_cache_bytes)
        self._encoder_hidden_states = TensorCache(prompt_cache_bytes)
        self._lock = threading.Lock()
        self._text_config = loaded.model.config.text_config
        self._num_image_tokens = int(loaded.image_processor.image_seq_length)

    @property
    def max_prompt_tokens(self) -> int:
        """How many tokens a prompt may have beside the picture and the two ends of the sentence."""
        return int(self._text_config.max_position_embeddings) - self._num_image_tokens - 2

    @property
    def max_answer_tokens(self) -> int:
        """How many tokens an answer may have: one for each of the decoder's positions; the last is never fed back."""
        return int(self._text_config.max_position_embeddings)

    @property
    def max_prompts(self) -> int:
        """How many prompts about a picture are answered in one run."""
        return _MAX_PROMPTS

    @property
    def cache_bytes(self) -> tuple[int, int]:
        """Bytes held by the image features and by the encoder hidden states."""
        return self._image_features.num_bytes, self._encoder_hidden_states.num_bytes

    def num_tokens(self, text: str) -> int:
        """Return the number of tokens of a prompt without its two ends."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def close(self) -> None:
        """Drop the model and the caches once no run holds them."""
        with self._lock:
            self._model = None
            self.loaded = replace(self.loaded, model=None)
            self._image_features = TensorCache(0)
            self._encoder_hidden_states = TensorCache(0)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def generate(
        self,
        image: InputImage,
        prompts: Sequence[str],
        decoding: Decoding = Decoding(),
        *,
        stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> Generator[Event, None, None]:
        """Yield the events of one answer to each prompt; the last of each is `Finished`. At most `max_prompts`.

        Greedy answers are written at the same time, others one after another. Setting `stop` ends the run within one
        decoding step, or one block of the vision tower, with what is there; so does the deadline, a time of
        `time.monotonic`. Closing the generator does the same and does not wait, so that a reader that stalls never
        holds the model. Raises EngineFailed when memory does not suffice, or when a step hangs beyond the deadline.
        """
        run = _Run(image, prompts, decoding, stop or threading.Event(), deadline)
        worker = threading.Thread(target=self._work, args=(run,), name="engine-run", daemon=True)
        try:
            worker.start()
        except RuntimeError as error:  # its stack takes memory too
            raise _explain(error) from error
        _running[worker] = run
        num_open = len(prompts)
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
            for answer in range(len(run.prompts)):
                run.events.put(Finished(is_truncated=False, is_stopped=True, answer=answer))
        except BaseException as error:  # whatever it is, the reader must not wait for ever
            run.events.put(_explain(error))

    def _answer(self, run: "_Run") -> None:
        if self._model is None:
            raise EngineFailed("This checkpoint was unloaded while the question waited. Ask again to load it.")
        states = self._encode(run)
        run.raise_if_stopped()
        config = self._generation_config(run.decoding.num_beams, self._num_new_tokens(run))
        rules = self._rules.of(config)
        if rules is not None and config.num_beams == 1:
            self._decode_greedily(run, states, rules)
            return
        for answer, hidden_states in enumerate(states):
            ids: list[int] = []
            if not run.is_stopped and rules is not None:
                ids = self._search_beams(run, answer, hidden_states, BeamSearch(rules, config, self._measure))
            elif not run.is_stopped:
                ids = self._leave_to_generate(run, answer, hidden_states, config)
            run.events.put(self._finished(run, ids, answer))

    def _encode(self, run: "_Run") -> list[torch.Tensor]:
        """Return the encoder hidden states of the picture and each prompt, of shape (1, positions, width)."""
        known = {prompt: self._encoder_hidden_states.get((run.image.digest, prompt)) for prompt in run.prompts}
        missing = [prompt for prompt, hidden_states in known.items() if hidden_states is None]
        image_ms = prompt_ms = 0.0
        if missing:
            run.events.put(Progress(Stage.ENCODING_IMAGE))
            features, image_ms = self._encode_image(run)
            run.events.put(Progress(Stage.ENCODING_PROMPT, image_ms))
            started = time.perf_counter()
            for prompt, new in zip(missing, self._encode_prompts(run, features, missing), strict=True):
                self._encoder_hidden_states.put((run.image.digest, prompt), new)
                known[prompt] = new
            prompt_ms = _milliseconds_since(started)
        run.events.put(Progress(Stage.WRITING, image_ms, prompt_ms))
        return [hidden_states for prompt in run.prompts if (hidden_states := known[prompt]) is not None]

    def _encode_image(self, run: "_Run") -> tuple[torch.Tensor, float]:
        features = self._image_features.get(run.image.digest)
        if features is not None:
            return features, 0.0
        started = time.perf_counter()
        pixels = pixel_values(run.image.pixels, self.loaded.image_processor).to(self._model.device)
        features = self._forward.encode_images(pixels, run.raise_if_stopped)
        self.image_encodings += 1
        self._image_features.put(run.image.digest, features)
        return features, _milliseconds_since(started)

    def _encode_prompts(self, run: "_Run", features: torch.Tensor, prompts: Sequence[str]) -> list[torch.Tensor]:
        embed, config, rows = self._model.get_input_embeddings(), self._text_config, []
        for prompt in prompts:
            prompt_ids = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
            ids = torch.tensor([config.bos_token_id, *prompt_ids, config.eos_token_id], device=features.device)
            embeddings = embed(ids)
            rows.append(torch.cat([features[0].to(embeddings.dtype), embeddings]))
        inputs, mask = _stack(rows)
        hidden_states = self._forward.encode_prompts(inputs, mask, run.raise_if_stopped)
        return [states[None, : len(row)].clone() for states, row in zip(hidden_states, rows, strict=True)]

    def _decode_greedily(self, run: "_Run", states: Sequence[torch.Tensor], rules: ChoiceRules) -> None:
        inputs, mask = _stack([hidden_states[0] for hidden_states in states])
        cache = self._forward.decoder.start(inputs, mask)
        readers = [self._reader(answer) for answer in range(len(states))]
        written = [[rules.start] for _ in states]
        unfinished = list(range(len(states)))
        for _ in range(self._num_new_tokens(run)):
            if run.is_stopped or not unfinished:
                break
            logits = self._forward.decoder.step(cache, torch.tensor([ids[-1] for ids in written], device=inputs.device))
            for answer in unfinished:
                token_id = rules.choose(written[answer], logits[answer])
                written[answer].append(token_id)
                run.events.put(readers[answer].read(token_id, *self._measure(logits[answer], token_id)))
                if token_id in rules.ends:
                    run.events.put(self._finished(run, written[answer][1:], answer))
            unfinished = [answer for answer in unfinished if written[answer][-1] not in rules.ends]
        for answer in unfinished:
            run.events.put(self._finished(run, written[answer][1:], answer))

    def _search_beams(self, run: "_Run", answer: int, hidden_states: torch.Tensor, search: BeamSearch) -> list[int]:
        decoder, num_new_tokens = self._forward.decoder, self._num_new_tokens(run)
        cache = decoder.start(hidden_states, num_beams=len(search.running))
        for step in range(num_new_tokens):
            run.events.put(self._draft(answer, search.running[0].ids[1:]))
            last = torch.tensor([beam.ids[-1] for beam in search.running], device=hidden_states.device)
            logits = decoder.step(cache, last)
            is_last = run.is_stopped or step == num_new_tokens - 1
            cache.reorder(search.advance(logits, is_last=is_last))
            if is_last or search.is_done:
                break
        reader, ids = self._reader(answer), list(search.best.ids[1:])
        for token_id, measured in zip(ids, search.best.measures, strict=True):
            run.events.put(reader.read(token_id, *measured))
        return ids

    def _leave_to_generate(
        self, run: "_Run", answer: int, hidden_states: torch.Tensor, config: GenerationConfig
    ) -> list[int]:
        """Answer by rules that are not covered here: drafts, and at the end the tokens, measured once more."""
        watcher = _Watcher(lambda ids: run.events.put(self._draft(answer, ids)))
        sequences = self._model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden_states),
            attention_mask=torch.ones(hidden_states.shape[:2], dtype=torch.long, device=hidden_states.device),
            generation_config=config,
            logits_processor=[watcher],
            stopping_criteria=[_StopCriterion(run)],
        )
        ids: list[int] = sequences[0].tolist()
        start = ids.pop(0)
        while ids and ids[-1] == self._text_config.pad_token_id:
            ids.pop()
        reader, cache = self._reader(answer), self._forward.decoder.start(hidden_states)
        for last, token_id in zip([start, *ids], ids, strict=False):
            measured: tuple[float | None, float | None] = (None, None)
            if not run.is_stopped:  # measuring a long answer takes seconds, and Stop has promised one
                logits = self._forward.decoder.step(cache, torch.tensor([last], device=hidden_states.device))
                measured = self._measure(logits[0], token_id)
            run.events.put(reader.read(token_id, *measured))
        return ids

    def _draft(self, answer: int, ids: Sequence[int]) -> Draft:
        reader = self._reader(answer)
        return Draft(tuple(reader.read(token_id) for token_id in ids), answer)

    def _num_new_tokens(self, run: "_Run") -> int:
        return max(1, min(run.decoding.max_new_tokens, self.max_answer_tokens))

    def _generation_config(self, num_beams: int, num_new_tokens: int) -> GenerationConfig:
        """The checkpoint's own rules, but for how to search and where to end."""
        config: GenerationConfig = copy.deepcopy(self._model.generation_config)
        config.num_beams = num_beams
        config.early_stopping = num_beams > 1 and bool(config.early_stopping)
        config.do_sample = False
        config.use_cache = True
        config.max_length = None
        config.max_new_tokens = num_new_tokens
        return config

    def _measure(self, logits: torch.Tensor, token_id: int) -> tuple[float, float | None]:
        """Return the log-probability of a token and, for a location, the mass within BIN_TOLERANCE bins of it."""
        logprobs, locations = logits.float().log_softmax(-1), self.loaded.location_ids
        if token_id not in locations:
            return float(logprobs[token_id]), None
        first = max(locations.start, token_id - BIN_TOLERANCE)
        last = min(locations.stop, token_id + BIN_TOLERANCE + 1)
        return float(logprobs[token_id]), min(1.0, float(logprobs[first:last].exp().sum()))

    def _reader(self, answer: int) -> TokenReader:
        return TokenReader(self._pieces, self._special_ids, answer)

    def _finished(self, run: "_Run", ids: list[int], answer: int) -> Finished:
        is_complete = bool(ids) and ids[-1] == self._text_config.eos_token_id
        is_stopped = run.is_stopped and not is_complete
        return Finished(is_truncated=not is_complete and not is_stopped, is_stopped=is_stopped, answer=answer)


class _Run:
    """What some answers need to know: their questions, where events go, and whether anybody still wants them."""

    def __init__(
        self, image: InputImage, prompts: Sequence[str], decoding: Decoding, stop: threading.Event, deadline: float
    ) -> None:
        self.image = image
        self.prompts = prompts
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
