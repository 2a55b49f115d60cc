"""The page of many pictures, walked through once: dropped, tried, asked, left, found again, corrected, saved."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from playground.scenes.scene import make_scene
from playground.settings import Settings
from tests.ui.browser.test_access import AXE, faults

pytestmark = pytest.mark.browser

BROKEN = (7, 30)


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Room for two jobs."""
    return Settings(offline=True, kept_jobs_per_visitor=2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifty small scenes, two of them cut short."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"photo{number}.jpg" for number in range(1, 51)]
    for number, path in enumerate(paths, start=1):
        make_scene(2_000_000 + number, resolution_wh=(240, 180)).image.save(path, quality=85)
        if number in BROKEN:
            path.write_bytes(path.read_bytes()[:300])
    return paths


def delete_first_region(page: Page) -> None:
    """Open the correcting of the picture, and delete what comes first in it."""
    page.locator("#stage [data-correct=toggle]").click()
    page.locator("#stage .stage-frame").focus()
    page.keyboard.press("PageDown")
    page.keyboard.press("Delete")
    expect(page.locator("#about")).to_contain_text("corrected")
    page.locator("#stage [data-correct=toggle]").click()


def test_fifty_pictures_from_the_drop_to_the_corrected_data_set(
    browser: Browser, address: str, photos: list[Path], tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}/many")
    page.locator("#files input[multiple]").set_input_files(photos)
    page.locator("#preview:enabled").click()
    expect(page.locator("#run")).to_have_text("Run on all 50")
    expect(page.locator(".many-tiles li")).to_have_count(3)
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("Asking")
    page.close()  # the job goes on

    stranger = browser.new_page()
    stranger.goto(f"{address}/many")
    expect(stranger.locator("#preview")).to_be_disabled()
    stranger.close()

    page = context.new_page()
    page.goto(f"{address}/many")
    expect(page.locator("#status")).to_contain_text("All 50 pictures are done", timeout=180_000)
    page.locator("[data-wanted=kind]").select_option("errors")
    expect(page.locator(".many-tiles li b")).to_have_text([f"photo{number}" for number in BROKEN])
    page.locator(".many-tiles button").first.click()
    expect(page.locator("#about")).to_contain_text(f"photo{BROKEN[0]}: {BROKEN[0]} of 50")
    page.keyboard.press("Escape")
    page.locator("[data-wanted=kind]").select_option("found")
    expect(page.locator(".many-tiles li").first).to_contain_text("photo1")

    page.locator(".many-tiles button").first.click()
    expect(page.locator("#stage .stage-shape").first).to_be_visible()
    drawn = page.locator("#stage .stage-shape").count()
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")
    assert faults(page) == []  # and the page is as narrow as a phone now
    delete_first_region(page)
    expect(page.locator("#stage .stage-shape")).to_have_count(drawn - 1)
    page.locator("#approve").focus()
    page.keyboard.press("a")
    expect(page.locator("#about")).to_contain_text("photo2")
    drawn += page.locator("#stage .stage-shape").count()
    delete_first_region(page)
    page.locator("#approve").focus()
    page.keyboard.press("a")
    expect(page.locator("#about")).to_contain_text("photo3")
    page.keyboard.press("s")
    page.keyboard.press("Escape")
    expect(page.locator("#review")).to_be_hidden()
    expect(page.locator("[data-state=approved]")).to_have_count(2)
    expect(page.locator("[data-state=skipped]")).to_have_count(1)
    page.locator(".many-tiles button").nth(3).click()
    expect(page.locator("#review")).to_be_visible()
    page.evaluate("document.querySelector('#next').click(); document.querySelector('#close').click()")
    expect(page.locator("#review")).to_be_hidden()  # though the next picture is on its way

    page.check("#only-approved input")
    with page.expect_download() as saved:
        page.click("#save")
    path = tmp_path / "coco.zip"
    saved.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".json")]
        data = json.loads(archive.read(name))
    assert [Path(row["file_name"]).stem for row in data["images"]] == ["photo1", "photo2"]
    assert len(data["annotations"]) == drawn - 2

    page.locator("#files input[multiple]").set_input_files(photos[:1])
    expect(page.locator("#status")).to_contain_text("The pictures are here")
    expect(page.locator("#jobs input")).to_have_value("photo1.jpg")
    page.go_back()  # to the job before
    expect(page.locator("#jobs input")).to_have_value("photo1.jpg and 49 more")
    for name in ("cat", "dog"):
        (tmp_path / "kinds" / name).mkdir(parents=True)
        shutil.copy(photos[1], tmp_path / "kinds" / name / "1.jpg")
    page.locator("#files input[webkitdirectory]").set_input_files(tmp_path / "kinds")
    expect(page.locator("#status")).to_contain_text("2 jobs from your address are kept here")
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator("#status")).to_contain_text("All 50 pictures are done")
    page.set_viewport_size({"width": 1280, "height": 800})
    for tab in (other, page):
        tab.locator(".many-tiles button").nth(3).click()
        expect(tab.locator("#about")).to_contain_text("photo4")
    drawn = other.locator("#stage .stage-shape").count()
    delete_first_region(page)
    other.evaluate("dispatchEvent(new Event('focus'))")  # as when somebody comes back to the tab
    expect(other.locator("#about")).to_contain_text("corrected")
    expect(other.locator("#stage .stage-shape")).to_have_count(drawn - 1)
    page.reload()  # as whoever looks at another job does
    expect(page.locator("#files")).to_contain_text("2 files that were uploaded wait for a job")
    page.click("#delete")
    expect(page.locator("#keep-job")).to_be_focused()
    page.click("#delete-job")
    expect(page.locator("#status")).to_contain_text("The job and its pictures are deleted")
    expect(page.locator("#results")).to_be_hidden()
    for gone in (page, other):
        expect(gone.locator("#delete")).to_be_disabled()
        expect(gone.locator("#jobs")).to_be_visible()
    expect(other.locator("#status")).to_contain_text("There is no such job here")
    assert "#" not in page.url
    page.reload()
    expect(page.locator("#status")).to_contain_text("The pictures are here")  # of the job that is left
    page.click("[data-choose=again]")
    expect(page.locator("#jobs input")).to_have_value("cat-1.jpg and 1 more")
    expect(page.locator("[data-choose=again]")).to_be_hidden()
    context.close()
