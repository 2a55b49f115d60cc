"""The page that teaches, walked through once: five pictures are corrected, taught, compared, kept, and asked with."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.__main__ import read_command
from playground.checkpoints.catalog import BUNDLED
from playground.paths import read_asset
from playground.pool import Pool
from playground.predictor import Predictor
from playground.scenes.scene import make_scene
from playground.settings import Settings
from tests.live import running
from tests.ui.browser.test_access import AXE, faults

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Served:
    address: str
    adapters: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that teaches for some seconds at most."""
    adapters = tmp_path_factory.mktemp("adapters")
    settings = Settings(
        checkpoint=BUNDLED, offline=True, welcome=False, teach_minutes=0.15, adapters_folder=str(adapters)
    )
    pool = Pool(settings)
    pool.start()
    with running(Predictor(pool), settings, tmp_path_factory.mktemp("cache")) as url:
        yield Served(url, adapters)
    pool.close()


def correct(page: Page, paths: list[Path]) -> None:
    """Ask about pictures on the page of many, delete what comes first in each, and approve the rest."""
    page.locator("#files input[multiple]").set_input_files(paths)
    page.locator("#preview:enabled").click()
    page.locator("#run:enabled").click()
    expect(page.locator("#status")).to_contain_text("All 5 pictures are done", timeout=60_000)
    page.locator(".many-tiles button").first.click()
    for path in paths:
        expect(page.locator("#about")).to_contain_text(path.stem)
        page.locator("#stage [data-correct=toggle]").click()
        page.locator("#stage .stage-frame").focus()
        page.keyboard.press("PageDown")
        page.keyboard.press("Delete")
        expect(page.locator("#about")).to_contain_text("corrected")
        page.locator("#stage [data-correct=toggle]").click()
        page.click("#approve")
    expect(page.locator("#about")).to_contain_text("approved")


def test_five_corrected_pictures_become_an_adapter_that_is_asked_with(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    pytest.importorskip("peft", reason="peft, which is only needed to teach, is not installed")
    paths = [tmp_path / f"photo{number}.jpg" for number in range(1, 6)]
    for number, path in enumerate(paths, start=1):
        make_scene(2_000_000 + number, resolution_wh=(320, 240)).image.save(path, quality=85)
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{served.address}/many")
    correct(page, paths)

    page.locator("nav summary").click()
    page.get_by_role("link", name="Teach").click()
    expect(page.locator("#source")).to_contain_text("My job: 5 pictures corrected or approved")
    page.click("#check")
    expect(page.locator("#report")).to_contain_text("4 lessons about 4 pictures")
    expect(page.locator("#report")).to_contain_text("1 lesson about 1 picture held out")
    page.click("#teach-run")
    expect(page.locator("#stop")).to_be_enabled()

    other = browser.new_page()  # of somebody who has no pictures here, and no part in this
    other.goto(f"{served.address}/teach")
    expect(other.locator("#source")).to_contain_text("0 pictures")
    other.click("#check")
    expect(other.locator("#status")).to_contain_text("There is no ZIP")
    expect(other.locator("#teach-run")).to_be_disabled()
    other.close()

    page.reload()
    expect(page.locator("#stop")).to_be_enabled()
    expect(page.locator("#outcome")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("img", name="photo", exact=False)).to_have_count(2)  # before and now
    expect(page.locator(".teach-curve svg")).to_have_attribute(
        "aria-label", re.compile("^After step .* from .* at the")
    )
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")
    assert faults(page) == []
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_label("Name").fill("my scenes")
    page.click("#keep")
    expect(page.locator("#status")).to_contain_text("Kept as tiny-florence2 + my-scenes")

    page.click("#ask")
    page.locator("#examples img").first.click()
    expect(page.locator("#stage img")).to_be_visible()
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("Done")
    page.get_by_text("Advanced", exact=True).click()
    expect(page.locator("#checkpoint input")).to_have_value("Tiny demo model + my-scenes (5.8 M)")
    context.close()

    folder = served.adapters / "my-scenes"
    assert {path.name for path in folder.iterdir()} >= {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    _, settings = read_command(["--checkpoint", BUNDLED, "--adapter", str(folder), "--offline"], {})
    again = Pool(settings)
    try:
        prediction = Predictor(again).predict(paths[0], "<OD>")
        assert prediction.checkpoint == "tiny-florence2 + my-scenes"
        assert prediction.regions
    finally:
        again.close()


def test_each_tab_finds_its_own_teaching_again_and_a_later_visit_the_last_that_is_left(browser: Browser) -> None:
    context = browser.new_context()
    script = f"playgroundMany = {{ kept: () => '{{}}' }};{read_asset('teach_page.js')}"
    context.route("**/*", lambda to: to.fulfill(content_type="text/html", body=f"<script>{script}</script>"))
    found = "JSON.parse(playgroundTeach.kept()).teaching"
    tabs = [context.new_page() for _ in "ab"]
    for tab in tabs:
        tab.goto("http://teach.test/")
        tab.evaluate("playgroundTeach.keep('')")  # as the page does where it found none
    for tab, key in zip(tabs, "ab", strict=True):
        tab.evaluate("(key) => playgroundTeach.keep(key)", key)
    for tab, key in zip(tabs, "ab", strict=True):
        tab.reload()
        assert tab.evaluate(found) == key
    tabs[1].evaluate("playgroundTeach.keep('')")
    tabs[1].reload()
    later = context.new_page()
    later.goto("http://teach.test/")
    assert (tabs[1].evaluate(found), later.evaluate(found)) == ("", "a")
    context.close()
