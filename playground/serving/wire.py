"""What goes between whoever asks and a replica: JSON and pixels there, lines of JSON back. No pickle.

Whatever comes is held against these types before anything is done with it. Knows no HTTP, no Ray and no engine.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from playground.checkpoints.catalog import Checkpoint
from playground.engines import Ask, AskedEngine
from playground.errors import InputRejected
from playground.events import Decoding, Draft, Event, Finished, Progress, RunStage, Token
from playground.pictures.limits import Limits
from playground.pictures.reader import InputImage, receive_image
from playground.wire import what_is_wrong

DEFAULT_PORT = 8000
BUNDLE_SECONDS = 0.05  # at least so long from one bundle of events to the next
HEARTBEAT_SECONDS = 1.0  # a replica that has nothing to tell says so this often
PICTURE_HEADER = "x-session-id"  # by which Serve's router chooses the replica; here the digest of a picture
REPLICA_HEADER = "x-replica"

MAX_ASKS = 64  # of one request
MAX_BODY_BYTES = 512_000_000
_MAX_PROMPT = 20_000  # characters; a model takes far fewer
_HEADER_BYTES = 4  # that say how long the JSON before the pixels is
_MAX_JSON_BYTES = 4_000_000

_STRICT = ConfigDict(extra="forbid", strict=False)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Description:
    """What a replica says of its engine: all that `AskedEngine` tells without being asked anything."""

    checkpoint: Checkpoint
    notice: str
    banned_phrases: frozenset[str]
    max_prompt_tokens: int
    max_answer_tokens: int
    image_side: int
    max_asks: int
    details: str = ""

    @classmethod
    def of(cls, engine: AskedEngine, details: str = "") -> "Description":
        """Describe an engine, without the folder of the machine that it is on."""
        checkpoint = replace(engine.checkpoint, source=engine.checkpoint.name, is_local=False, base=None)
        return cls(
            checkpoint, engine.notice, engine.banned_phrases, engine.max_prompt_tokens, engine.max_answer_tokens,
            engine.image_side, engine.max_asks, details,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture of a request: its pixels, `num_bytes`, come behind the JSON; none where it was sent before."""

    __pydantic_config__ = _STRICT

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: tuple[int, int]
    original_wh: tuple[int, int]
    num_bytes: Annotated[int, Field(ge=0, le=MAX_BODY_BYTES)]


@dataclass(frozen=True, slots=True)
class SentAsk:
    """Which of a request's pictures is asked what."""

    __pydantic_config__ = _STRICT

    picture: Annotated[int, Field(ge=0)]
    prompt: Annotated[str, Field(max_length=_MAX_PROMPT)]


@dataclass(frozen=True, slots=True)
class Request:
    """What a replica is asked: `answer` to look what was attended to while it was written, where there is one.

    `checkpoint` is the name of the one that is meant. `seconds` are what is left of the time that it may take.
    """

    __pydantic_config__ = _STRICT

    checkpoint: Annotated[str, Field(max_length=500)]
    pictures: Annotated[tuple[SentPicture, ...], Field(min_length=1, max_length=MAX_ASKS)]
    asks: Annotated[tuple[SentAsk, ...], Field(min_length=1, max_length=MAX_ASKS)]
    num_beams: Annotated[int, Field(ge=1, le=8)] = 1
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None
    answer: Annotated[str, Field(max_length=100_000)] = ""

    @property
    def decoding(self) -> Decoding:
        return Decoding(self.num_beams, self.max_new_tokens)


@dataclass(frozen=True, slots=True)
class ReplicaCounts:
    """What a replica has done since it began, which it tells with each answer."""

    encodings: int = 0  # of pictures
    turns: int = 0  # of its model, in each of which some are answered together
    answers: int = 0


_REQUEST = TypeAdapter(Request)
_DESCRIPTION = TypeAdapter(Description)


def write_request(request: Request, pixels: Sequence[bytes]) -> bytes:
    """Return a request with the pixels of its pictures behind it."""
    head = json.dumps(asdict(request)).encode()
    return b"".join((len(head).to_bytes(_HEADER_BYTES, "big"), head, *pixels))


def read_request(body: bytes) -> tuple[Request, list[memoryview]]:
    """Return a request and the pixels of its pictures. Raises InputRejected."""
    length = int.from_bytes(body[:_HEADER_BYTES], "big")
    if not 0 < length <= min(_MAX_JSON_BYTES, len(body) - _HEADER_BYTES):
        raise _rejected("it does not begin with the length of its JSON")
    try:
        request = _REQUEST.validate_json(body[_HEADER_BYTES : _HEADER_BYTES + length])
    except ValidationError as error:
        raise _rejected(what_is_wrong(error)) from None
    view, pixels = memoryview(body)[_HEADER_BYTES + length :], []
    for picture in request.pictures:
        pixels.append(view[: picture.num_bytes])
        view = view[picture.num_bytes :]
    if view or any(len(some) != sent.num_bytes for some, sent in zip(pixels, request.pictures, strict=True)):
        raise _rejected("its pictures have not as many bytes as it says")
    if any(ask.picture >= len(request.pictures) for ask in request.asks):
        raise _rejected("it asks about a picture that it does not bring")
    return request, pixels


def _rejected(what: str) -> InputRejected:
    return InputRejected(f"The request cannot be read: {what}. Use the client of the same version.", field="request")


def send_pictures(asks: Sequence[Ask], known: frozenset[str]) -> tuple[list[SentPicture], list[SentAsk], list[bytes]]:
    """Return the pictures of asks, each once, the asks, and the pixels of those whose digests are not known there."""
    pictures = list({ask.image.digest: ask.image for ask in asks}.values())
    places = {image.digest: place for place, image in enumerate(pictures)}
    pixels = [b"" if image.digest in known else image.pixels.tobytes() for image in pictures]
    sent = [
        SentPicture(image.digest, image.pixels.size, image.resolution_wh, len(some))
        for image, some in zip(pictures, pixels, strict=True)
    ]
    return sent, [SentAsk(places[ask.image.digest], ask.prompt) for ask in asks], pixels


def receive_picture(sent: SentPicture, pixels: memoryview, limits: Limits) -> InputImage:
    """Return a picture that came as pixels, checked as if it were new. Raises ImageRejected."""
    return receive_image(bytes(pixels), sent.size, sent.original_wh, sent.digest, limits)


def write_description(description: Description) -> bytes:
    return _DESCRIPTION.dump_json(description)


def read_description(text: bytes) -> Description:
    """Return what a replica says of its engine. Raises ValueError."""
    return _DESCRIPTION.validate_json(text)


# --- Events


def write_events(events: Sequence[Event]) -> bytes:
    """Return a line that holds some events; of none it says only that somebody is there."""
    return json.dumps([_event_to_list(event) for event in events]).encode() + b"\n"


def write_end(**said: Any) -> bytes:
    """Return the last line: an object, which says what `failed`, or holds the `ReplicaCounts`."""
    return json.dumps(said).encode() + b"\n"


def read_events(items: Sequence[Any]) -> list[Event]:
    """Return the events of a line. Raises ValueError."""
    try:
        return [_event_from_list(*item) for item in items]
    except (TypeError, KeyError) as error:
        raise ValueError(f"no event: {error}") from error


def _event_to_list(event: Event) -> list[Any]:
    match event:
        case Token():
            return ["token", *_token_to_list(event)]
        case Draft(tokens, answer):
            return ["draft", [_token_to_list(token) for token in tokens], answer]
        case Progress(stage, image_ms, prompt_ms):
            return ["progress", stage.value, image_ms, prompt_ms]
        case Finished(is_truncated, is_stopped, answer):
            return ["finished", is_truncated, is_stopped, answer]


def _event_from_list(kind: str, *values: Any) -> Event:
    match kind:
        case "token":
            return Token(*values)
        case "draft":
            return Draft(tuple(Token(*token) for token in values[0]), values[1])
        case "progress":
            return Progress(RunStage(values[0]), *values[1:])
        case "finished":
            return Finished(*values)
        case _:
            raise ValueError(f"{kind!r} is no event")


def _token_to_list(token: Token) -> list[Any]:
    return [token.id, token.text, token.logprob, token.bin_probability, token.is_special, token.answer]
