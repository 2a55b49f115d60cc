"""One replica: an engine that is asked over HTTP.

Knows requests and the engine, which answers together who waits for it. What it is asked is checked here once more,
whoever asks. Nothing of anybody's words or pictures is logged, and nothing is unpickled. Ray Serve makes the replicas,
in `app`.
"""

import asyncio
import io
import logging
import math
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from playground.engines import Ask, AskedEngine, State
from playground.errors import CheckpointUnavailable, EngineHangs, InputRejected, PlaygroundError
from playground.events import Decoding, Draft, Event, Finished, Progress, RunStage, Token
from playground.pictures.limits import Limits
from playground.pictures.reader import InputImage
from playground.pool import Pool
from playground.serving.wire import (
    BUNDLE_SECONDS,
    HEARTBEAT_SECONDS,
    MAX_BODY_BYTES,
    REPLICA_HEADER,
    Description,
    ReplicaCounts,
    Request,
    read_request,
    receive_picture,
    write_description,
    write_end,
    write_events,
)
from playground.settings import Settings

_logger = logging.getLogger("ray.serve")
_PICTURE_BYTES = 256_000_000  # of pixels that need not be sent again
_MAX_TEXT = 100_000  # characters, whose tokens are counted


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """What a request came to, for whoever counts."""

    num_answers: int
    num_tokens: int
    num_pictures: int
    encode_seconds: float
    decode_seconds: float  # and of the wait for the model


class KeptPictures:
    """The pictures that were asked about last, so that a second question need not bring its picture along."""

    def __init__(self, max_bytes: int, keep_seconds: float) -> None:
        self._max_bytes, self._keep_seconds = max_bytes, keep_seconds
        self._kept: OrderedDict[str, tuple[InputImage, float]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str) -> InputImage | None:
        """Return a picture, if it is there still."""
        with self._lock:
            image, _ = self._kept.get(digest, (None, 0.0))
            return image

    def keep(self, image: InputImage) -> None:
        """Keep a picture, in place of those that nobody has asked about for the longest time."""
        with self._lock:
            self._kept[image.digest] = image, time.monotonic()
            self._kept.move_to_end(image.digest)
            while len(self._kept) > 1 and sum(_num_bytes(kept) for kept, _ in self._kept.values()) > self._max_bytes:
                self._kept.popitem(last=False)

    def forget_old(self) -> None:
        """Drop what nobody has asked about for so long that it is to be deleted."""
        with self._lock:
            while self._kept and time.monotonic() - next(iter(self._kept.values()))[1] > self._keep_seconds:
                self._kept.popitem(last=False)


def _num_bytes(image: InputImage) -> int:
    return 3 * image.pixels.width * image.pixels.height


class Bundles:
    """The events of one answer on their way from the engine's thread to an event loop, some at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: deque[Event | Exception] = deque()
        self._came = asyncio.Event()

    def tell(self, event: Event | Exception) -> None:
        """Take an event, in any thread."""
        self._told.append(event)
        self._loop.call_soon_threadsafe(self._came.set)

    async def next(self) -> list[Event | Exception]:
        """Return what has come, after a wait for it; nothing where nothing comes for the time of a heartbeat."""
        try:
            await asyncio.wait_for(self._came.wait(), HEARTBEAT_SECONDS)
        except TimeoutError:
            return []
        self._came.clear()
        return [self._told.popleft() for _ in range(len(self._told))]


class Replica:
    """Holds one checkpoint, and answers requests about it.

    `count` is told what each request came to, with what the replica has done so far, and `count_refusal` of each that
    was refused.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        count: Callable[[AnsweredRequest, ReplicaCounts], None] = lambda *_: None,
        count_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        """Load the checkpoint; returns when it is ready. Raises CheckpointUnavailable."""
        self.name = uuid.uuid4().hex[:8]
        self._limits = Limits(max_megapixels=settings.max_megapixels, max_megabytes=settings.max_megabytes)
        self._longest_seconds = settings.run_seconds
        self._tell_counts, self._count_refusal = count, count_refusal
        self._hangs = False
        self._pool = Pool(replace(settings, load_wait_seconds=math.inf))
        status = self._pool.wait()
        if status.state is not State.READY:
            raise CheckpointUnavailable(f"{status.message} {status.details}".strip())
        self._held = ExitStack()
        self._engine: Any = self._held.enter_context(self._pool.acquire())
        self._description = Description.of(self._engine, ". ".join(filter(None, (status.details, status.why))))
        self._pictures = KeptPictures(_PICTURE_BYTES, settings.keep_files_seconds)

    @property
    def num_waiting(self) -> int:
        """How many questions wait here."""
        return int(self._engine.num_waiting)

    def check(self) -> None:
        """Raise where the engine hangs, so that another replica takes this one's place; forget old pictures."""
        self._pictures.forget_old()
        if self._hangs:
            raise RuntimeError("The engine does not end an answer whose time is over.")

    def close(self) -> None:
        """Give the engine back."""
        self._held.close()
        self._pool.close()

    async def answer(self, http: HttpRequest) -> Response:
        """Answer a request, whatever it is; what is wrong with it is one sentence."""
        try:
            return await self._answer(http)
        except PlaygroundError as error:
            return self._refusal(400, str(error))
        except ClientDisconnect:
            return self._refusal(400, "The request was broken off.")

    async def _answer(self, http: HttpRequest) -> Response:
        match http.method, http.url.path.rstrip("/").rpartition("/")[2]:
            case "GET", "about":
                return Response(write_description(self._description), media_type="application/json")
            case "POST", "count":
                return await self._count(http)
            case "POST", ("ask" | "attention" | "features") as kind:
                return await self._ask(http, kind)
        return self._refusal(404, "There is nothing here. Start the page with --engines and this address.")

    async def _count(self, http: HttpRequest) -> Response:
        text = (await _body(http, 4 * _MAX_TEXT)).decode("utf-8", "replace")[:_MAX_TEXT]
        return JSONResponse(await asyncio.to_thread(self._engine.num_tokens, text))

    async def _ask(self, http: HttpRequest, kind: str) -> Response:
        request, pixels = read_request(await _body(http, MAX_BODY_BYTES))
        own = self._description.checkpoint.name
        if request.checkpoint != own:  # another one has taken its place meanwhile
            return Response(write_description(self._description), 409, media_type="application/json")
        images = await asyncio.to_thread(self._receive, request, pixels)
        missing = [sent.digest for sent, image in zip(request.pictures, images, strict=True) if image is None]
        if missing:
            return JSONResponse({"missing": missing}, 428)
        asks = [Ask(image, ask.prompt) for ask in request.asks if (image := images[ask.picture])]
        deadline = time.monotonic() + min(
            self._longest_seconds, math.inf if request.seconds is None else request.seconds
        )
        if kind != "ask":
            return await self._look(kind, asks[0], request.answer, deadline)
        await asyncio.to_thread(self._check_lengths, asks)
        lines = self._lines(asks, request.decoding, deadline)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers={REPLICA_HEADER: self.name})

    def _receive(self, request: Request, pixels: list[memoryview]) -> list[InputImage | None]:
        images: list[InputImage | None] = []
        for sent, some in zip(request.pictures, pixels, strict=True):
            image = receive_picture(sent, some, self._limits) if sent.num_bytes else self._pictures.get(sent.digest)
            if image:
                self._pictures.keep(image)
            images.append(image)
        return images

    def _check_lengths(self, asks: list[Ask]) -> None:
        most = self._description.max_prompt_tokens
        for prompt in {ask.prompt for ask in asks}:
            if (length := self._engine.num_tokens(prompt)) > most:
                raise InputRejected(
                    f"The prompt has {length} tokens; the model takes at most {most}. Shorten it.", field="phrase"
                )

    async def _look(self, kind: str, ask: Ask, answer: str, deadline: float) -> Response:
        engine: AskedEngine = self._engine
        with io.BytesIO() as file:
            if kind == "features":
                features = await asyncio.to_thread(engine.features, ask.image, deadline=deadline)
                np.savez(file, allow_pickle=False, cells=features)
            else:
                looked = await asyncio.to_thread(engine.attention, ask, answer, deadline=deadline)
                np.savez(file, allow_pickle=False, cells=looked.cells, texts=np.array(looked.texts, dtype=np.str_))
            return Response(file.getvalue(), media_type="application/octet-stream")

    async def _lines(self, asks: list[Ask], decoding: Decoding, deadline: float) -> AsyncIterator[bytes]:
        """Yield lines of events as they come, a bundle at a time; whoever goes away ends the answer."""
        bundles, stop = Bundles(), threading.Event()
        num_open = len(asks)
        try:
            self._generate(asks, decoding, deadline, stop, bundles.tell)
            while num_open:
                told = await bundles.next()
                for failure in (item for item in told if isinstance(item, Exception)):
                    raise failure
                events = [item for item in told if not isinstance(item, Exception)]
                num_open -= sum(isinstance(event, Finished) for event in events)
                yield write_events(events)
                if num_open and any(isinstance(event, Token | Draft) for event in events):
                    await asyncio.sleep(BUNDLE_SECONDS)  # what is told before the first token has no need to wait
            yield write_end(**asdict(self._counts()))
        except Exception as error:
            _log_failure(error)
            self._count_refusal()
            yield write_end(failed=_failure_sentence(error))
        finally:
            stop.set()

    def _generate(
        self,
        asks: list[Ask],
        decoding: Decoding,
        deadline: float,
        stop: threading.Event,
        tell: Callable[[Event | Exception], None],
    ) -> None:
        """Let a thread tell what the engine says, or why it says nothing."""

        def generate() -> None:
            num_tokens, encode_ms, started = 0, 0.0, time.perf_counter()
            try:
                for event in self._engine.generate(asks, decoding, stop=stop, deadline=deadline):
                    num_tokens += isinstance(event, Token)
                    if isinstance(event, Progress) and event.stage is RunStage.WRITING:
                        encode_ms += (event.encode_image_ms or 0.0) + (event.encode_prompt_ms or 0.0)
                    tell(event)
            except Exception as error:
                self._hangs = self._hangs or isinstance(error, EngineHangs)
                tell(error)
                return
            decode_seconds = time.perf_counter() - started - encode_ms / 1000
            digests = {ask.image.digest for ask in asks}
            answered = AnsweredRequest(len(asks), num_tokens, len(digests), encode_ms / 1000, decode_seconds)
            self._tell_counts(answered, self._counts())

        threading.Thread(target=generate, name="asking", daemon=True).start()

    def _counts(self) -> ReplicaCounts:
        return ReplicaCounts(self._engine.image_encodings, self._engine.turns, self._engine.answers)

    def _refusal(self, status: int, sentence: str) -> Response:
        self._count_refusal()
        return JSONResponse({"failed": sentence}, status)


async def _body(http: HttpRequest, max_bytes: int) -> bytes:
    parts, length = [], 0
    async for part in http.stream():
        length += len(part)
        if length > max_bytes:
            raise InputRejected(f"The request is larger than {max_bytes / 1e6:g} MB. Ask about less at once.",
                                field="request")  # fmt: skip
        parts.append(part)
    return b"".join(parts)


def _log_failure(error: Exception) -> None:
    """Write down the kind and the place in the code: the text may hold somebody's words."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
    _logger.warning("An answer failed: %s at %s", type(error).__name__, place)


def _failure_sentence(error: Exception) -> str:
    """Return what is said of a failure: its own sentence, or of a bug its kind alone, which holds nobody's words."""
    if isinstance(error, PlaygroundError):
        return str(error)
    return f"The model failed ({type(error).__name__}). Ask again, or ask something else."
