"""Fifty people at once, each with a picture of their own: most by the API, five in a browser, a third leaving early.

    python -m tests.holds.load --count 50

Everybody gets the answer about their own picture, if need be after an honest "busy"; whoever asked first is answered
first; whoever stops or goes away frees the place, which the run would hold for minutes. The bundled checkpoint is
slowed down to the pace of Florence-2-base on a small machine, for it would answer before anybody waits.
"""

import itertools
import json
import random
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio import queueing
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect, sync_playwright

from playground.checkpoints.catalog import BUNDLED
from playground.events import RunStage
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.scenes.scene import TRAINING_SEEDS, make_scene
from playground.settings import Settings
from tests.holds.command import Order, main
from tests.live import Http, running
from tests.ui.doubles import DirectedPredictor

FREED_WITHIN_SECONDS = 10.0

_STEP_SECONDS = 0.04  # what a token takes
_LEAVING = 0.3  # share of the runs by the API
_LEAVING_BROWSERS = 2  # one presses Stop, one closes the tab
_BUSY = ("currently busy", "Queue is full")  # as the page says it, and the client of the API
_SECONDS_BETWEEN_TRIES = 2
_PATIENCE_SECONDS = 600


class Hall(DirectedPredictor):
    """What the server sees: who entered the queue, whose run began, and when it ended."""

    def __init__(self, predictor: Predictor, patch: pytest.MonkeyPatch) -> None:
        super().__init__(predictor)
        self.seconds_a_step = _STEP_SECONDS
        self.entered: list[Any] = []  # the queue's events, in the order of asking
        self.begun: list[str] = []  # digests of pictures, in the order of answering
        self.leaving: set[str] = set()  # pictures about which the answer goes on until its reader has left
        self.ended: dict[str, float] = {}
        hall = self

        class Event(queueing.Event):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                super().__init__(*arguments, **options)
                hall.entered.append(self)

        patch.setattr(queueing, "Event", Event)

    def run(
        self, image: Any, question: Question, *, stop: threading.Event | None = None
    ) -> Generator[Prediction, None, None]:
        picture = self.read_image(image)
        self.begun.append(picture.digest)
        try:
            for prediction in super().run(picture, question, stop=stop):
                if prediction.is_final and picture.digest in self.leaving:
                    yield from self._go_on(prediction, stop or threading.Event())
                else:
                    yield prediction
        finally:
            self.ended[picture.digest] = time.monotonic()

    def _go_on(self, final: Prediction, stop: threading.Event) -> Generator[Prediction, None, None]:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not stop.is_set() and time.monotonic() < until:
            yield replace(final, stage=RunStage.WRITING, is_final=False)
            time.sleep(self.seconds_a_step)
        yield replace(final, stage=RunStage.STOPPED)

    def wait_until_free(self) -> None:
        """Wait until all runs have ended, for as long as that may take."""
        until = time.monotonic() + FREED_WITHIN_SECONDS
        while len(self.ended) < len(set(self.begun)) and time.monotonic() < until:
            time.sleep(0.01)

    def overtaken(self, digest_of: dict[str, str]) -> int:
        """Count those who asked by the API and saw the run of somebody begin who had asked after them."""
        asked = [event for event in self.entered if event.fn.api_name == "run"]
        order = [digest_of[Path(event.data.data[0]["path"]).name] for event in asked]
        begun = [order.index(digest) for digest in self.begun if digest in order]
        return sum(later < earlier for earlier, later in itertools.pairwise(begun))


class Person:
    """Somebody with a picture, whose answer is known."""

    def __init__(self, picture: Path, expected: Prediction, digest: str) -> None:
        self.picture, self.expected, self.digest = picture, expected, digest
        self.seconds = 0.0
        self.times_busy = 0
        self.left_at: float | None = None
        self.trouble = ""

    def ask(self, url: str) -> None:
        """Ask by the client of the API until there is an answer."""
        began = time.monotonic()
        while self._is_turned_away(url):
            time.sleep(_SECONDS_BETWEEN_TRIES)
        self.seconds = time.monotonic() - began

    def ask_and_cancel(self, url: str) -> None:
        """Ask, and cancel when the first words are there."""
        client = Client(url, verbose=False)
        while True:
            job = client.submit(handle_file(self.picture), "<OD>", api_name="/run")
            while not job.done() and not any(row[0]["raw_text"] for row in job.outputs()):
                time.sleep(0.02)
            if not job.done():
                self.left_at = time.monotonic()
                job.cancel()
                return
            self._take_refusal(job.exception())

    def ask_and_go(self, url: str) -> None:
        """Ask as the page does, and break the connection when the first words are there."""
        http = Http(url)
        run = next(row for row in http.functions() if row["name"] == "run")
        data = [{"path": http.uploaded(self.picture)}, "<OD>"]
        while True:
            session = uuid.uuid4().hex
            asked = http.post("/queue/join", {"data": data, "fn_index": run["id"], "session_hash": session})
            if asked.status_code == 200:
                break
            self.times_busy += 1
            time.sleep(_SECONDS_BETWEEN_TRIES)
        address = f"{url}/gradio_api/queue/data"
        with httpx.stream("GET", address, params={"session_hash": session}, timeout=_PATIENCE_SECONDS) as events:
            for line in events.iter_lines():
                if '"raw_text"' in line and json.loads(line.removeprefix("data: "))["msg"] == "process_generating":
                    break
        self.left_at = time.monotonic()

    def check(self, prediction: dict[str, Any]) -> None:
        """Take note when it is not the answer that this picture has."""
        if prediction["regions"] != self.expected.to_dict()["regions"]:
            self.trouble = f"{self.picture.name} got the regions {prediction['regions']}"

    def _is_turned_away(self, url: str) -> bool:
        try:
            prediction, _ = Client(url, verbose=False).predict(handle_file(self.picture), "<OD>", api_name="/run")
        except Exception as error:
            self._take_refusal(error)
            return True
        self.check(prediction)
        return False

    def _take_refusal(self, error: BaseException | None) -> None:
        if not any(words in str(error) for words in _BUSY):
            raise error or AssertionError("the run ended before it could be left")
        self.times_busy += 1
        time.sleep(_SECONDS_BETWEEN_TRIES)


def carry_out(order: Order) -> dict[str, Any]:
    """Let `count` people ask at once; returns how long it took them, and what went wrong."""
    predictor = Predictor.load(BUNDLED, device="cpu", offline=True)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        people = [_person(predictor, Path(folder), order, number) for number in range(order.count)]
        hall = Hall(predictor, patch)
        began = time.monotonic()
        with running(hall, Settings(offline=True), Path(folder) / "cache") as url:
            _ask_all(url, people, random.Random(order.seed), hall)
            seconds = time.monotonic() - began
            hall.wait_until_free()
    return _figures(people, hall, seconds)


def _person(predictor: Predictor, folder: Path, order: Order, number: int) -> Person:
    path = folder / f"{order.seed}-{number}.png"
    make_scene(TRAINING_SEEDS + 1000 * order.seed + number).image.save(path)
    image = predictor.read_image(path)
    return Person(path, predictor.predict(image, "<OD>"), image.digest)


def _ask_all(url: str, people: list[Person], rng: random.Random, hall: Hall) -> None:
    in_browsers, by_api = people[: len(people) // 10], people[len(people) // 10 :]
    leaving = set(rng.sample(range(len(by_api)), round(_LEAVING * len(by_api))))
    hall.leaving |= {person.digest for person in in_browsers[:_LEAVING_BROWSERS]}
    hall.leaving |= {by_api[number].digest for number in leaving}
    with ThreadPoolExecutor(len(people)) as threads, sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pages = [_open(chrome.new_context().new_page(), url, person) for person in in_browsers]
        asked = {}
        for number, person in enumerate(by_api):
            leave = (person.ask_and_cancel, person.ask_and_go)[number % 2]
            asked[threads.submit(leave if number in leaving else person.ask, url)] = person
        _ask_in_browsers(pages, in_browsers)
        for future, person in asked.items():
            if error := future.exception(_PATIENCE_SECONDS):
                person.trouble = f"{type(error).__name__}: {error}"
        chrome.close()


def _open(page: Page, url: str, person: Person) -> Page:
    page.goto(url)
    page.set_input_files("#picture input[type=file]", person.picture)
    expect(page.locator("#stage img")).to_be_visible(timeout=60_000)
    return page


def _ask_in_browsers(pages: list[Page], people: list[Person]) -> None:
    """Ask in all of them at once; one presses Stop, one closes the tab, the others wait for the answer."""
    began = time.monotonic()
    for page in pages:
        page.click("#run")
    for number, (page, person) in enumerate(zip(pages, people, strict=True)):
        if number < _LEAVING_BROWSERS:
            _wait_for(page, person, "Writing")
            person.left_at = time.monotonic()
            page.click("#stop") if number == 0 else page.close()
            continue
        _wait_for(page, person, "Done in")
        person.seconds = time.monotonic() - began
        labels = page.locator("#regions tbody .region-table-label").all_inner_texts()
        if sorted(labels) != sorted(region.label for region in person.expected.regions):
            person.trouble = f"{person.picture.name} shows {labels}"


def _wait_for(page: Page, person: Person, said: str) -> None:
    """Wait until the status says it, and press Run again after "busy", or after an answer that came too soon."""
    patience = time.monotonic() + _PATIENCE_SECONDS
    while said not in page.inner_text("#status"):
        assert time.monotonic() < patience, f"{person.picture.name} never saw {said!r}"
        if page.is_enabled("#run"):
            if page.locator(".toast-wrap", has_text=_BUSY[0]).count():
                person.times_busy += 1
                page.locator(".toast-close").first.click()
            page.evaluate("document.querySelector('#run').click()")  # nothing happens where it has begun meanwhile
        page.wait_for_timeout(50)


def _figures(people: list[Person], hall: Hall, seconds: float) -> dict[str, Any]:
    stayed = [person for person in people if person.left_at is None]
    left = [person for person in people if person.left_at is not None]
    waited = sorted(person.seconds for person in stayed)
    freed = [hall.ended.get(person.digest, float("inf")) - (person.left_at or 0) for person in left]
    failures = [person.trouble for person in people if person.trouble]
    if max(freed) > FREED_WITHIN_SECONDS:
        failures.append(f"a place was freed after {max(freed):.2f} s")
    overtaken = hall.overtaken({person.picture.name: person.digest for person in people})
    if overtaken:
        failures.append(f"{overtaken} people saw somebody go first who had asked later")
    return {
        "people": len(people),
        "own right answer": sum(not person.trouble for person in stayed),
        "stopped or gone": len(left),
        "times told busy": sum(person.times_busy for person in people),
        "all in_s": round(seconds, 1),
        "median_s": round(waited[len(waited) // 2], 1),
        "slowest in 20_s": round(waited[len(waited) * 19 // 20], 1),
        "slowest_s": round(waited[-1], 1),
        "place freed after at most_s": round(max(freed), 2),
        "overtaken": overtaken,
        "failures": failures,
    }


if __name__ == "__main__":
    main("load", "Let many people ask at once.", carry_out, count=50)
