"""How long the page takes from the end of a gesture until the frame that shows it is painted, in a real browser.

    python -m tests.holds.gestures --count 20

Prints for each gesture the median and the 90th percentile, in milliseconds, and what the browser itself takes for a key
that does nothing.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Page, expect, sync_playwright

from playground.checkpoints.catalog import BUNDLED
from playground.predictor import Predictor
from playground.settings import Settings
from tests.live import running
from tests.ui.browser.actions import run, take_example, unfold

# A gesture ends with one of these events. It is painted with the first frame in which the watched part has changed.
_WATCH = """
window.paints = [];
const look = () => [...document.querySelectorAll("#stage, #regions")].map((one) => one.outerHTML).join();
window.await_change = (event, changes) => addEventListener(event, () => {
  const start = performance.now(), before = look();
  const frame = () => requestAnimationFrame(() => {
    if (changes && look() === before) return frame();
    setTimeout(() => paints.push(performance.now() - start));
  });
  frame();
}, { capture: true, once: true });
"""
Gesture = tuple[
    str, bool, Callable[[], None]
]  # the event that ends it, whether the page changes after it, how to make it


def _time(page: Page, gesture: Gesture) -> float:
    event, changes, make = gesture
    count = page.evaluate("paints.length")
    page.evaluate("([event, changes]) => await_change(event, changes)", [event, changes])
    make()
    page.wait_for_function(f"paints.length > {count}", timeout=10_000)
    page.wait_for_timeout(400)  # the page tells the server of a step once nothing has happened for a while
    return float(page.evaluate("paints.at(-1)"))


def _middle(page: Page) -> tuple[float, float]:
    """Where the middle of the first box is on the screen."""
    box = page.locator(".stage-shapes .stage-shape").first.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _gestures(page: Page) -> dict[str, Gesture]:
    """The gestures in an order in which each finds what it needs: a box that is moved is put back by undo."""

    def key(name: str) -> Callable[[], None]:
        return lambda: page.keyboard.press(name)

    def move() -> None:
        x, y = _middle(page)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 20, y + 10, steps=3)
        page.mouse.up()

    def zoom() -> None:
        page.mouse.move(*_middle(page))
        page.mouse.wheel(0, -100)

    return {
        "nothing": ("keydown", False, key("F9")),
        "correct": ("pointerup", False, move),  # the box is where it ends before the pointer is up
        "undo": ("keydown", True, key("Control+z")),
        "redo": ("keydown", True, key("Control+Shift+z")),
        "zoom": ("wheel", True, zoom),
    }


def _hide(page: Page) -> Gesture:
    return ("click", True, page.locator("#regions tbody tr").first.click)


def _restyle(page: Page) -> Gesture:
    return ("change", True, lambda: page.locator("#style label", has_text="Ellipse").click())


def _rename(page: Page) -> float:
    page.keyboard.press("F2")
    page.keyboard.type("thing" if page.locator("#regions", has_text="another").count() else "another")
    return _time(page, ("keydown", True, lambda: page.keyboard.press("Enter")))


def measure(page: Page, count: int) -> dict[str, list[float]]:
    """Return the milliseconds of each gesture, made so many times."""
    page.evaluate(_WATCH)
    times: dict[str, list[float]] = {}
    for _ in range(count):
        times.setdefault("hide", []).append(_time(page, _hide(page)))
        times.setdefault("show", []).append(_time(page, _hide(page)))
        times.setdefault("restyle", []).append(_time(page, _restyle(page)))
    page.click("[data-correct=toggle]")
    page.mouse.click(*_middle(page))
    for _ in range(count):
        times.setdefault("rename", []).append(_rename(page))
        for name, gesture in _gestures(page).items():
            times.setdefault(name, []).append(_time(page, gesture))
        page.keyboard.press("Control+z")
        page.mouse.wheel(0, 100)
    return times


def main() -> None:
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.holds.gestures", description="Time what a hand does.")
    parser.add_argument("--count", type=int, default=20, help="how often each gesture is made, at least 2")
    count = max(2, parser.parse_args().count)
    predictor = Predictor.load(BUNDLED, device="cpu", offline=True)
    with (
        tempfile.TemporaryDirectory() as cache,
        running(predictor, Settings(offline=True), Path(cache)) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        page.goto(url)
        expect(page.locator("#status")).to_contain_text("is ready", timeout=60_000)
        take_example(page)
        run(page)
        unfold(page, "How it is drawn")
        times = measure(page, count)
        browser.close()
    print(f"{'gesture':10} {'median':>7} {'90 %':>7}   at load {os.getloadavg()[0]:.1f}")
    for name, values in times.items():
        print(f"{name:10} {median(values):7.1f} {quantiles(values, n=10)[-1]:7.1f}")


if __name__ == "__main__":
    main()
