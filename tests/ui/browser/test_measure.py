"""The page for measuring, walked through once: a sentence, a data set, its report, and the files of both."""

import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from playground.scenes.scene import make_scene
from tests.ui.browser.test_access import AXE, faults

pytestmark = pytest.mark.browser
NUM_SCENES = 4


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes and what is true of them, as COCO; one picture is cut short."""
    folder = tmp_path_factory.mktemp("data")
    names: list[str] = []
    images, annotations = [], []
    with zipfile.ZipFile(folder / "scenes.zip", "w") as archive:
        for number in range(NUM_SCENES):
            scene = make_scene(2_300_000 + number, resolution_wh=(320, 240))
            scene.image.save(path := folder / f"{number}.png")
            content = path.read_bytes()
            archive.writestr(path.name, content[:300] if number == 2 else content)
            images.append({"id": number, "file_name": path.name, "width": 320, "height": 240})
            for thing in scene.things:
                names += [] if thing.kind in names else [thing.kind]
                x, y, right, bottom = thing.region.xyxy
                box = [x, y, right - x, bottom - y]
                annotations.append({"id": len(annotations), "image_id": number, "iscrowd": 0, "bbox": box,
                                    "area": box[2] * box[3], "category_id": names.index(thing.kind)})  # fmt: skip
        categories = [{"id": index, "name": name} for index, name in enumerate(names)]
        content = json.dumps({"images": images, "annotations": annotations, "categories": categories})
        archive.writestr("instances.json", content)
    return folder / "scenes.zip"


def test_a_data_set_becomes_a_report_on_the_page_and_as_files(browser: Browser, address: str, data_set: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce", accept_downloads=True)
    page.goto(f"{address}/measure")
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("There is no data set yet")
    page.set_input_files("#files input[type=file]", data_set)
    expect(page.locator("#files").get_by_role("cell", name="scenes.zip")).to_be_visible()
    page.click("#run")
    expect(page.locator("#status")).to_contain_text("1 of 4 pictures have no answer", timeout=60_000)
    report = page.frame_locator("#report iframe").locator("body")
    expect(report).to_contain_text("AP@50:95")
    expect(report).to_contain_text("2.png")  # is named among the broken ones
    with page.expect_download() as download:
        page.click("#json-file")
    figures = json.loads(Path(download.value.path()).read_bytes())
    assert [one["picture"] for one in figures["checkpoints"][0]["broken"]] == ["2.png"]
    page.evaluate(AXE)
    page.add_style_tag(content="* { transition: none !important; }")
    assert faults(page) == []
    page.close()
