"""Two things at once in a real browser, on the bundled model with seconds to an answer: the table of the page.

`docs/architecture.md` has the same table in words. A row is a moment of the page, something that happens in it, and
what is seen from then on. All rows are tried on one page of one server, which each moment leads to its beginning.
"""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from playground.inference.language import Decoder
from playground.predictor import Predictor
from playground.settings import Settings
from tests.live import running
from tests.ui.browser import actions
from tests.ui.browser.actions import choose, unfold
from tests.ui.browser.test_page import drag
from tests.ui.examples import MEADOW

pytestmark = pytest.mark.browser

WRITING = "Writing"
SECONDS_TO_HOLD = 1.0  # that what is right must stay


class Pace:
    """How long each token takes."""

    seconds = 0.0


@pytest.fixture(scope="module")
def pace() -> Iterator[Pace]:
    pace, step = Pace(), Decoder.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Decoder, "step", lambda *arguments: (time.sleep(pace.seconds), step(*arguments))[1])
        yield pace


@pytest.fixture(scope="module")
def address(predictor: Predictor, pace: Pace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(predictor, Settings(offline=True), tmp_path_factory.mktemp("cache")) as url:
        yield url


class Visitor:
    """A page, and the pace of the model that it asks."""

    def __init__(self, context: BrowserContext, address: str, pace: Pace) -> None:
        self.address = address
        self.pace = pace
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.errors: list[str] = []
        self.others: list[Visitor] = []  # who keep the model busy until the next moment
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        expect(self.page.locator("#status")).to_contain_text("Tiny demo model")
        self.page.wait_for_function("sessionStorage.playground?.includes('before')")
        self.page.click("#advanced button")

    def beside(self) -> "Visitor":
        """Return another visitor, in a browser of their own."""
        browser = self.page.context.browser
        assert browser is not None
        return Visitor(browser.new_context(), self.address, self.pace)

    @property
    def source(self) -> str:
        """Where the picture that is shown comes from."""
        return str(self.page.locator("#stage img").get_attribute("src"))

    def look(self) -> "Seen":
        seen = self.page.evaluate(LOOK)
        return Seen(**{**seen, "can": tuple(seen["can"])})

    def sees(self, is_right: "Callable[[Seen], bool]", *, at_once: bool = False, holds: float = 0.5) -> None:
        """Wait until what is seen is right, and stays so; `at_once`, it may not be wrong any more after that."""
        deadline, right_since, seen = time.monotonic() + 40, 0.0, self.look()
        while time.monotonic() < deadline:
            seen = self.look()
            if is_right(seen):
                right_since = right_since or time.monotonic()
                if time.monotonic() > right_since + holds:
                    return
            else:
                assert not (at_once and right_since), f"came back: {seen}"
                right_since = 0.0
            self.page.wait_for_timeout(50)
        raise AssertionError(f"is not {is_right.__name__}: {seen}")


@pytest.fixture(scope="module")
def visitor(browser: Browser, address: str, pace: Pace) -> Iterator[Visitor]:
    visitor = Visitor(browser.new_context(viewport={"width": 1280, "height": 1000}), address, pace)
    yield visitor
    assert not visitor.errors


# What is seen


@dataclass(frozen=True)
class Seen:
    """What a page shows, as far as it belongs to a picture, a run or an answer."""

    alt: str
    rows: int
    boxes: int
    words: str
    says: str
    can: tuple[bool, bool]  # press Run, press Stop
    is_busy: bool
    has_details: bool


LOOK = """() => {
    const [all, one] = [document.querySelectorAll.bind(document), document.querySelector.bind(document)];
    return {
        alt: one("#stage img").hidden ? "" : one("#stage img").alt,
        rows: all("#regions tbody tr").length,
        boxes: all("#stage .stage-tags .stage-tag").length,
        words: one("#answer textarea").value,
        says: [...all("#status .line")].slice(1).map((line) => line.textContent).join(" "),
        can: [!one("#run").disabled, !one("#stop").disabled],
        is_busy: one("#stage [aria-busy=true]") !== null,
        has_details: (one("#details")?.offsetHeight ?? 0) > 0,
    };
}"""


def is_alone(seen: Seen) -> bool:
    """A picture that nobody has asked about, and a page that can be asked."""
    return seen == Seen("Your picture", 0, 0, "", "", (True, False), False, False)


def is_all(seen: Seen) -> bool:
    is_one = seen.rows == seen.boxes and (bool(seen.words) or not seen.rows) and seen.alt != "Your picture"
    return is_one and seen.can == (True, False) and not seen.is_busy and seen.has_details


def is_whole(seen: Seen) -> bool:
    """One answer, of which everything is there."""
    return seen.says.startswith(("Done in", "Stopped after")) and is_all(seen)


def is_whole_still(seen: Seen) -> bool:
    """The answer before, after a run that was stopped in the queue."""
    return seen.says == "Stopped before it began." and is_all(seen)


def is_stopped(seen: Seen) -> bool:
    """A page that can be asked again, whether the run had begun or not."""
    return seen.says.startswith("Stopped") and seen.can == (True, False) and not seen.is_busy


def goes_on(seen: Seen) -> bool:
    """A run that is not disturbed: no answer is there to be styled or saved."""
    return WRITING in seen.says and seen.can == (False, True) and seen.is_busy and not seen.has_details


COLOR = "(node) => getComputedStyle(node).color"
OPACITY = """(node) => {
    let all = 1;
    for (; node; node = node.parentElement) all *= getComputedStyle(node).opacity;
    return all;
}"""


# The moments


def picture(visitor: Visitor) -> None:
    visitor.pace.seconds = 0
    while visitor.others:
        visitor.others.pop().page.context.close()
    choose(visitor.page, "Find every object")
    actions.take_example(visitor.page)
    visitor.sees(is_alone)
    visitor.pace.seconds = 0.15


def answer(visitor: Visitor) -> None:
    picture(visitor)
    visitor.pace.seconds = 0
    press_run(visitor)
    visitor.sees(is_whole)
    unfold(visitor.page, "How it is drawn")
    visitor.pace.seconds = 0.15


def written(visitor: Visitor) -> None:
    picture(visitor)
    press_run(visitor)
    expect(visitor.page.locator("#regions tbody tr").first).to_be_visible()


def written_again(visitor: Visitor) -> None:
    answer(visitor)
    press_run(visitor)
    expect(visitor.page.locator("#status")).to_contain_text(WRITING)


def waiting(visitor: Visitor) -> None:
    """In the queue, behind another visitor's run that takes long, with an answer of before."""
    answer(visitor)
    other = visitor.beside()
    actions.take_example(other.page)
    other.sees(is_alone)
    visitor.pace.seconds = 0.5
    press_run(other)
    expect(other.page.locator("#status")).to_contain_text(WRITING)
    press_run(visitor)
    place, line = visitor.page.locator("#status .progress-text"), visitor.page.locator("#status .line").first
    expect(place).to_contain_text("queue: 1/1")
    visitor.page.wait_for_timeout(500)  # it comes with a transition
    assert place.evaluate(COLOR) == line.evaluate(COLOR)
    assert (place.evaluate(OPACITY), line.evaluate(OPACITY)) == (1, 1)
    visitor.others.append(other)


# What happens


def upload(visitor: Visitor) -> None:
    visitor.page.set_input_files("#picture input[type=file]", str(MEADOW))


def take_example(visitor: Visitor) -> None:
    actions.take_example(visitor.page, 1)


def draw_scene(visitor: Visitor) -> None:
    unfold(visitor.page, "Try an example")
    visitor.page.fill("#seed input", "7")
    visitor.page.press("#seed input", "Enter")


def choose_task(visitor: Visitor) -> None:
    choose(visitor.page, "Short caption")


def choose_regions(visitor: Visitor) -> None:
    choose(visitor.page, "Name a region")


def choose_checkpoint(visitor: Visitor) -> None:
    """The other of two."""
    field = visitor.page.locator("#checkpoint input")
    other = "Tiny demo model" if field.input_value() == "Automatic" else "Automatic"
    field.click()
    visitor.page.locator("#checkpoint [role=option]", has_text=other).click()


def press_run(visitor: Visitor) -> None:
    visitor.page.click("#run")


def press_run_twice(visitor: Visitor) -> None:
    visitor.page.evaluate("[0, 1].forEach(() => document.querySelector('#run').click())")


def press_stop(visitor: Visitor) -> None:
    visitor.page.click("#stop")


def run_and_stop(visitor: Visitor) -> None:
    press_run(visitor)
    press_stop(visitor)


def stop_and_run(visitor: Visitor) -> None:
    press_stop(visitor)
    press_run(visitor)


def style_and_run(visitor: Visitor) -> None:
    visitor.page.evaluate(
        "['#style label:nth-child(3) input', '#run'].forEach((name) => document.querySelector(name).click())"
    )


def reload(visitor: Visitor) -> None:
    visitor.page.reload()
    visitor.page.wait_for_selector("#advanced button")
    visitor.page.click("#advanced button")


def hide_a_row(visitor: Visitor) -> None:
    visitor.pace.seconds = 1  # what goes on is not to end meanwhile
    visitor.page.locator("#regions tbody tr").first.click()


NEW_PICTURES = (upload, take_example, draw_scene)
ENDING = (*NEW_PICTURES, choose_task, choose_checkpoint)

TABLE = [
    *((picture, event, is_alone) for event in (*NEW_PICTURES, choose_task, choose_regions, choose_checkpoint, reload)),
    (picture, press_run_twice, is_whole),
    (picture, run_and_stop, is_stopped),
    *((answer, event, is_alone) for event in NEW_PICTURES[1:]),
    *((answer, event, is_whole) for event in (choose_task, choose_regions, choose_checkpoint, reload, hide_a_row)),
    (answer, style_and_run, is_whole),
    (waiting, take_example, is_alone),
    (waiting, choose_task, is_whole),
    (waiting, press_stop, is_whole_still),
    (waiting, reload, is_whole),
    *((written, event, is_alone) for event in ENDING),
    (written, hide_a_row, goes_on),
    (written, press_stop, is_whole),
    (written, stop_and_run, is_whole),
    (written, reload, is_alone),
    *((written_again, event, is_alone) for event in (take_example, choose_task)),
    (written_again, reload, is_whole),
]


@pytest.mark.parametrize(
    ("moment", "event", "is_right"),
    [
        pytest.param(
            *row,
            id=f"{row[0].__name__}, {row[1].__name__}: {row[2].__name__}",
            marks=[] if index % 4 == 0 else pytest.mark.long,
        )
        for index, row in enumerate(TABLE)
    ],
)
def test_two_things_at_once(
    visitor: Visitor,
    moment: Callable[[Visitor], None],
    event: Callable[[Visitor], None],
    is_right: Callable[[Seen], bool],
) -> None:
    moment(visitor)
    before = visitor.source
    event(visitor)
    visitor.sees(is_right, at_once=event in ENDING, holds=SECONDS_TO_HOLD)
    if event in NEW_PICTURES:
        assert visitor.source != before
    elif is_right is is_alone:
        assert visitor.source == before


# What takes more than one step


def hold_uploads(visitor: Visitor) -> list[Route]:
    """Keep what is sent from here on from arriving; each is to be continued or answered."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visitor.page.route("**/upload?*", hold)
    return held


def test_run_during_an_upload_asks_about_the_picture_that_is_on_its_way(visitor: Visitor) -> None:
    answer(visitor)
    page, before = visitor.page, visitor.source
    held = hold_uploads(visitor)
    upload(visitor)
    press_run(visitor)
    press_run(visitor)
    expect(page.locator("#status")).to_contain_text("Waiting for the picture")
    expect(page.locator("#regions tbody tr")).to_have_count(3)
    visitor.pace.seconds = 0
    page.wait_for_timeout(500)
    expect(page.locator("#status")).to_contain_text("Waiting for the picture")  # the second press is none
    held[0].continue_()
    expect(page.locator("#regions tbody tr")).to_have_count(4)
    visitor.sees(is_whole)
    assert visitor.source != before
    page.unroute("**/upload?*")


def test_run_asks_what_was_chosen_before_it_although_the_server_hears_of_that_late(visitor: Visitor) -> None:
    picture(visitor)
    page, held = visitor.page, list[Route]()

    def hold(route: Route) -> None:
        """Keep what is sent first, which is the choice."""
        route.continue_() if held else held.append(route)

    page.route("**/run/predict", hold)
    visitor.pace.seconds = 0
    choose_task(visitor)
    press_run(visitor)
    page.wait_for_timeout(500)
    held[0].continue_()
    page.unroute("**/run/predict", hold)
    expect(page.locator("#status")).to_contain_text("Done in")


def test_run_during_an_upload_that_fails_asks_nothing(visitor: Visitor) -> None:
    answer(visitor)
    before = visitor.source
    held = hold_uploads(visitor)
    upload(visitor)
    press_run(visitor)
    expect(visitor.page.locator("#status")).to_contain_text("Waiting for the picture")
    held[0].fulfill(status=413, json={"detail": "too large"})
    visitor.sees(is_whole, at_once=True, holds=SECONDS_TO_HOLD)
    assert visitor.source == before
    visitor.page.unroute("**/upload?*")


def test_of_two_pictures_in_a_row_the_second_one_stays(visitor: Visitor) -> None:
    picture(visitor)
    first = visitor.source
    take_example(visitor)
    expect(visitor.page.locator("#stage img")).not_to_have_attribute("src", first)
    visitor.sees(is_alone)
    second = visitor.source
    picture(visitor)
    visitor.page.evaluate("[2, 1].forEach((n) => document.querySelectorAll('#examples button')[n].click())")
    expect(visitor.page.locator("#stage img")).to_have_attribute("src", second)
    visitor.sees(is_alone, at_once=True, holds=SECONDS_TO_HOLD)
    assert visitor.source == second


def test_a_region_that_is_drawn_while_the_answer_is_written_stays(visitor: Visitor) -> None:
    picture(visitor)
    choose_regions(visitor)
    drag(visitor.page, (0.1, 0.1), (0.4, 0.4))
    press_run(visitor)
    expect(visitor.page.locator("#stop")).to_be_enabled()
    drag(visitor.page, (0.5, 0.5), (0.9, 0.9))
    visitor.sees(is_whole)
    expect(visitor.page.locator("#stage .stage-region")).to_have_count(2)


def test_two_tabs_run_each_for_itself(visitor: Visitor) -> None:
    other = visitor.beside()
    picture(visitor)
    upload(other)
    other.sees(is_alone)
    for one in (visitor, other):
        press_run(one)
    for one in (visitor, other):
        one.sees(is_whole)
    assert [one.look().rows for one in (visitor, other)] == [3, 4]
    other.page.context.close()


def test_a_reload_brings_back_the_form_the_seed_and_the_truth(visitor: Visitor) -> None:
    draw_scene(visitor)
    choose(visitor.page, "Find the things I name")
    visitor.page.fill("#phrase textarea", "car, tree")
    visitor.pace.seconds = 0
    press_run(visitor)
    expect(visitor.page.locator("#status")).to_contain_text("Done in")
    visitor.sees(is_whole)
    before = visitor.look()
    reload(visitor)
    visitor.sees(is_whole)
    assert visitor.look() == before
    expect(visitor.page.locator("#phrase textarea")).to_have_value("car, tree")
    expect(visitor.page.locator("#task input")).to_have_value("Find the things I name")
    expect(visitor.page.locator("#seed input")).to_have_value("7")
    expect(visitor.page.locator("#stage .stage-reveal")).to_be_visible()


def test_a_server_that_is_killed_is_noticed_and_one_that_was_started_again_too(
    browser: Browser, predictor: Predictor, pace: Pace, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = Settings(offline=True, port=free.getsockname()[1])
    with running(predictor, settings, tmp_path) as url:
        visitor = Visitor(browser.new_context(), url, pace)
        alarm = visitor.page.locator("#connection")
        visitor.page.context.set_offline(True)
        expect(alarm).to_contain_text("does not answer any more", timeout=15_000)
        visitor.page.context.set_offline(False)
        expect(alarm).to_be_hidden()
    expect(alarm).to_contain_text("does not answer any more", timeout=15_000)
    with running(predictor, settings, tmp_path):
        expect(alarm).to_contain_text("started again")
        alarm.get_by_role("button").click()
        answer(visitor)
    visitor.page.context.close()
