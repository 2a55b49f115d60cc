"""A replica and its client, over HTTP and without a cluster: what comes is what the engine itself says."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from playground.engines import Ask, State
from playground.errors import CheckpointUnavailable, EngineFailed, ImageRejected, SettingsInvalid
from playground.events import Decoding, Event, Finished, Progress, Token
from playground.inference.run import Run
from playground.pictures.limits import Limits
from playground.pictures.reader import InputImage, read_image, receive_image
from playground.predictor import Predictor
from playground.question import Question
from playground.serving.client import RemoteEngines
from playground.serving.connection import cluster_url
from playground.serving.replica import KeptPictures, Replica
from playground.serving.wire import write_description
from playground.settings import Settings
from tests.inference.asking import ids_of
from tests.serving.over_http import served, until

OD = "Locate the objects with category name in the image."
CAPTION = "What does the image describe?"
SETTINGS = Settings(checkpoint="tiny-florence2", device="cpu", offline=True)


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    replica = Replica(SETTINGS)
    yield replica
    replica.close()


@pytest.fixture(scope="module")
def address(replica: Replica) -> Iterator[str]:
    with served(replica.answer) as address:
        yield address


@pytest.fixture(scope="module")
def engines(address: str) -> Iterator[RemoteEngines]:
    engines = RemoteEngines(address, SETTINGS)
    yield engines
    engines.close()


def events_of(engine: Any, asks: list[Ask], decoding: Decoding = Decoding()) -> list[Event]:
    """Return what an engine says, but for its times."""
    events = list(engine.generate(asks, decoding))
    return [replace(e, encode_image_ms=None, encode_prompt_ms=None) if isinstance(e, Progress) else e for e in events]


def test_it_says_what_the_engine_says(
    predictor: Predictor, engines: RemoteEngines, image: InputImage, replica: Replica
) -> None:
    other = image.crop((0.0, 0.0, 200.0, 150.0))
    with engines.acquire() as remote, predictor.engines.acquire() as own:
        for name in ("banned_phrases", "max_prompt_tokens", "max_answer_tokens", "image_side", "max_asks", "notice"):
            assert getattr(remote, name) == getattr(own, name)
        assert replace(remote.checkpoint, source="", is_local=True) == replace(own.checkpoint, source="")
        assert remote.num_tokens(OD) == own.num_tokens(OD)
        before = replica._engine.image_encodings
        for asks in ([Ask(image, OD)], [Ask(image, CAPTION), Ask(other, OD)], [Ask(image, OD)]):
            assert events_of(remote, asks)[-8:] == events_of(own, asks)[-8:]
        assert replica._engine.image_encodings == before + 2, "a second question encodes nothing"
        careful = Decoding(num_beams=3)
        assert (
            events_of(remote, [Ask(image, CAPTION)], careful)[-5:]
            == events_of(own, [Ask(image, CAPTION)], careful)[-5:]
        )
        answer = "".join(e.text for e in own.generate([Ask(image, CAPTION)], Decoding()) if isinstance(e, Token))
        looked, own_looked = remote.attention(Ask(image, CAPTION), answer), own.attention(Ask(image, CAPTION), answer)
        assert looked.texts == own_looked.texts
        np.testing.assert_allclose(looked.cells, own_looked.cells, atol=1e-5)
        np.testing.assert_allclose(remote.features(image), own.features(image), atol=1e-4)
    mine, theirs = Predictor(engines).predict(image, "<OD>"), predictor.predict(image, "<OD>")
    assert (mine.raw_text, mine.checkpoint, mine.notices) == (theirs.raw_text, "tiny-florence2", theirs.notices)


def test_stop_and_a_closed_tab_free_the_replica(engines: RemoteEngines, image: InputImage, replica: Replica) -> None:
    stop = threading.Event()
    with engines.acquire() as remote:
        said = []
        for event in remote.generate([Ask(image, CAPTION)], Decoding(num_beams=3), stop=stop):
            said.append(event)
            stop.set()
        assert said[-1] == Finished(is_truncated=False, is_stopped=True)
        assert len(said) == 2
        for _ in range(20):  # as tabs do that are closed while their answer is written
            events = remote.generate([Ask(image, OD)], Decoding())
            next(events)
            events.close()
        assert list(remote.generate([Ask(image, OD)], deadline=time.monotonic() - 1)) == [Finished(False, True)]
        assert isinstance([*remote.generate([Ask(image, OD)])][-1], Finished)
    until(lambda: replica.num_waiting == 0)


def test_who_waits_is_answered_together(engines: RemoteEngines, image: InputImage, replica: Replica) -> None:
    pictures = [image.crop((0.0, 0.0, 200.0 + number, 150.0)) for number in range(4)]
    with engines.acquire() as remote, ThreadPoolExecutor(4) as people:
        alone = [ids_of(events_of(remote, [Ask(picture, OD)])) for picture in pictures]
        before = replica._engine.turns
        with replica._engine._lock.held():
            asked = [people.submit(events_of, remote, [Ask(picture, OD)]) for picture in pictures]
            until(lambda: replica.num_waiting == 4)
        assert [ids_of(answer.result()) for answer in asked] == alone
    assert replica._engine.turns == before + 1


def test_a_replica_whose_engine_hangs_is_to_be_replaced(
    engines: RemoteEngines, image: InputImage, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = threading.Event()

    def hang(*_: object, **options: object) -> Iterator[Event]:
        yield from Run([Ask(image, OD)], Decoding(), threading.Event(), time.monotonic()).events(
            lambda _: hanging.wait()
        )

    monkeypatch.setattr("playground.inference.run._LATE_SECONDS", 0.1)
    replica.check()
    with engines.acquire() as remote, monkeypatch.context() as patch:
        patch.setattr(replica._engine, "generate", hang)
        with pytest.raises(EngineFailed, match="The model hangs"):
            list(remote.generate([Ask(image, OD)]))
    hanging.set()
    with pytest.raises(RuntimeError, match="does not end"):
        replica.check()
    monkeypatch.setattr(replica, "_hangs", False)


def test_who_waits_for_a_replica_has_not_lost_it_and_one_that_falls_silent_is_lost(
    address: str, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.serving.connection._SILENT_SECONDS", 0.5)
    silent_seconds = [0.0, 30.0]

    async def answer(request: HttpRequest) -> Response:
        body = await request.body()
        if request.url.path == "/ask":
            await asyncio.sleep(1)  # as Serve lets wait who is one too many
        async with httpx.AsyncClient(base_url=cluster_url(address)) as client:
            came = await client.request(request.method, request.url.path, content=body)
        if request.url.path != "/ask" or not silent_seconds:
            return Response(came.content, came.status_code)
        return StreamingResponse(_paused(came.content, silent_seconds.pop(0)))

    with served(answer) as busy:
        engines = RemoteEngines(busy, SETTINGS)
        with engines.acquire() as remote:
            waited = events_of(remote, [Ask(image, OD)])
            assert engines.connection.num_retries == 0
            again = events_of(remote, [Ask(image, OD)])
            assert engines.connection.num_retries == 1
        assert [e for e in again if not isinstance(e, Progress)] == [e for e in waited if not isinstance(e, Progress)]
        engines.close()


async def _paused(content: bytes, seconds: float) -> AsyncIterator[bytes]:
    begun, _, rest = content.partition(b"\n")
    yield begun + b"\n"
    await asyncio.sleep(seconds)
    yield rest


def test_a_lost_answer_goes_on_where_it_was(
    address: str, engines: RemoteEngines, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between client and replica stands what breaks off after so many events, as a replica does that is killed."""
    monkeypatch.setattr("playground.serving.remote_engine.SECONDS_BETWEEN_TRIES", 0.01)
    engines.wait()
    lives = [7, 0, 9, 3]

    async def answer(request: HttpRequest) -> Response:
        body = await request.body()
        async with httpx.AsyncClient(base_url=cluster_url(address)) as client:
            if request.url.path != "/ask" or not lives:
                came = await client.request(request.method, request.url.path, content=body)
                return Response(came.content, came.status_code)
            return StreamingResponse(_cut(cluster_url(address), body, lives.pop(0)))

    with served(answer) as breaking, engines.acquire() as whole:
        others = RemoteEngines(breaking, SETTINGS)
        with others.acquire() as remote:
            said = [e for e in events_of(remote, [Ask(image, CAPTION)]) if not isinstance(e, Progress)]
            assert said == [e for e in events_of(whole, [Ask(image, CAPTION)]) if not isinstance(e, Progress)]
            assert others.connection.num_retries == 4
            lives += [0] * 20
            with pytest.raises(EngineFailed, match="no other one has taken its place"):
                list(remote.generate([Ask(image, CAPTION)]))
        others.close()


async def _cut(url: str, body: bytes, num_events: int) -> Any:
    async with httpx.AsyncClient(base_url=url) as client, client.stream("POST", "/ask", content=body) as came:
        async for line in came.aiter_lines():
            for event in json.loads(line):
                if not num_events:
                    raise ConnectionError("the replica was killed")
                num_events -= 1
                yield json.dumps([event]).encode() + b"\n"


def test_a_changed_checkpoint_answers_under_its_own_name(image: InputImage, replica: Replica) -> None:
    said = [replica._description]

    async def answer(request: HttpRequest) -> Response:
        return Response(write_description(said[0])) if request.url.path == "/about" else await replica.answer(request)

    old = replace(replica._description, checkpoint=replace(replica._description.checkpoint, name="old", title="Old"))
    said[0] = old
    with served(answer) as address:
        engines = RemoteEngines(address, SETTINGS)
        assert engines.wait().checkpoint.name == "old"
        asking, question = Predictor(engines), Question("<CAPTION>", checkpoint="old")
        assert asking.predict(image, question).checkpoint == "tiny-florence2", "it has changed since it was looked at"
        said[0] = replica._description
        until(lambda: engines.current_name == "tiny-florence2")
        notices = asking.predict(image, question).notices
        assert any(notice.startswith("The cluster has changed its checkpoint") for notice in notices)
        assert engines.status("old").state is State.READY
        assert engines.status("florence-2-base").state is State.FAILED
        with pytest.raises(CheckpointUnavailable, match="not a checkpoint of this playground"):
            engines.status("somebody/else")
        engines.close()


def test_who_answers_may_be_nobody_or_another(image: InputImage) -> None:
    async def other(_: HttpRequest) -> Response:
        return Response("<html>", 200)

    with served(other) as address:
        engines = RemoteEngines(address, SETTINGS)
        assert "is no cluster of this playground" in engines.wait().message
        engines.close()
    nobody = RemoteEngines("ray://127.0.0.1:9", replace(SETTINGS, load_wait_seconds=0.2))
    assert nobody.request().is_busy
    with pytest.raises(CheckpointUnavailable, match=r"No cluster has answered at http://127.0.0.1:9 for 0.2 sec"):
        Predictor(nobody).predict(image, "<OD>")
    nobody.close()


@pytest.mark.parametrize(
    "address", ["", "ray://", "http://host:1", "ray://host:port", "ray://a b:1", "ray://h:1/x", "10.0.0.1"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(SettingsInvalid, match="ray://HOST:PORT"):
        cluster_url(address)


def test_addresses() -> None:
    assert cluster_url("ray://host") == "http://host:8000"
    assert cluster_url("ray://10.0.0.7:80") == "http://10.0.0.7:80"
    assert cluster_url("ray://[::1]:8001/") == "http://[::1]:8001"


def _request(**changes: Any) -> bytes:
    picture = {"digest": "0" * 64, "size": [1, 1], "original_wh": [1, 1], "num_bytes": 3}
    wire = {"checkpoint": "tiny-florence2", "pictures": [picture], "asks": [{"picture": 0, "prompt": OD}], **changes}
    head = json.dumps(wire).encode()
    return len(head).to_bytes(4, "big") + head + b"abc"


BAD = [
    pytest.param(b"", "length of its JSON", id="nothing"),
    pytest.param(b"\xff\xff\xff\xff{}", "length of its JSON", id="a length beyond its end"),
    pytest.param(b"\x80\x04\x95cos\nsystem\n(S'id'\ntR.", "length of its JSON", id="a pickle"),
    pytest.param(_request(asks=[]), "asks", id="no ask"),
    pytest.param(_request(asks=[{"picture": 1, "prompt": ""}]), "does not bring", id="a picture that is not there"),
    pytest.param(_request(pictures=[]), "pictures", id="no picture"),
    pytest.param(_request(num_beams=10**6), "num_beams", id="a million beams"),
    pytest.param(_request(max_new_tokens=0), "max_new_tokens", id="no token"),
    pytest.param(_request(more=1), "more", id="a field that is not known"),
    pytest.param(_request() + b"d", "as many bytes", id="a byte too many"),
    pytest.param(_request()[:-1], "as many bytes", id="a byte too few"),
    pytest.param(_request(), "not the one that was announced", id="another picture's digest"),
    pytest.param(_request(asks=[{"picture": 0, "prompt": "x" * 20_001}]), "20000", id="an endless prompt"),
]


@pytest.mark.parametrize(("body", "said"), BAD)
def test_a_bad_request_is_a_sentence(address: str, body: bytes, said: str) -> None:
    response = httpx.post(f"{cluster_url(address)}/ask", content=body)
    assert response.status_code == 400
    assert said in response.json()["failed"]
    assert "Traceback" not in response.text


def test_a_picture_from_the_wire_is_what_it_says_it_is() -> None:
    thin = read_image(np.zeros((300, 300, 3), np.uint8)).crop((0.0, 0.0, 1.0, 300.0))
    pixels = thin.pixels.tobytes()
    assert receive_image(pixels, (1, 300), (1, 300), thin.digest) == thin
    for size, original_wh in (((1, 299), (1, 300)), ((2, 300), (1, 300)), ((0, 0), (1, 1)), ((1, 300), (1, 40_000))):
        with pytest.raises(ImageRejected):
            receive_image(pixels, size, original_wh, thin.digest)
    with pytest.raises(ImageRejected, match="the limits are"):
        receive_image(bytes(3 * 1500 * 1000), (1500, 1000), (1500, 1000), "", Limits(max_megapixels=1))


def test_pictures_are_kept_for_a_time_and_within_a_size(image: InputImage) -> None:
    others = [image.crop((0.0, 0.0, 10.0 + number, 10.0)) for number in range(3)]
    kept = KeptPictures(2 * 3 * 120, 0.2)
    for one in others:
        kept.keep(one)
    assert [kept.get(one.digest) for one in others] == [None, others[1], others[2]]
    time.sleep(0.25)
    kept.forget_old()
    assert kept.get(others[2].digest) is None
