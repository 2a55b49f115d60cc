"""How a picture comes to the page besides the field: dropped anywhere, pasted, and from the camera."""

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.actions import choose, give_file, is_about_a_file, unfold
from tests.ui.examples import BEACH, MEADOW

pytestmark = pytest.mark.browser

SEND = """([kind, selector, names, text, content]) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  const carried = new DataTransfer();
  for (const name of names) carried.items.add(new File([bytes], name, {type: 'image/png'}));
  if (text) carried.setData('text/plain', text);
  const options = {bubbles: true, cancelable: true};
  const event = kind === 'paste'
    ? new ClipboardEvent(kind, {clipboardData: carried, ...options})
    : new DragEvent(kind, {dataTransfer: carried, ...options});
  document.querySelector(selector).dispatchEvent(event);
  return event.defaultPrevented;
}"""


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#status")).to_contain_text("Tiny demo model is ready")
    yield page
    context.close()


def send(page: Page, kind: str, selector: str, *names: str, text: str = "") -> bool:
    """Drop or paste files that all hold the meadow; returns whether the page took them."""
    content = base64.b64encode(MEADOW.read_bytes()).decode()
    taken: bool = page.evaluate(SEND, [kind, selector, names, text, content])
    return taken


def test_the_dialog_offers_what_can_be_read_and_no_browser_takes_for_a_picture(phone: Page) -> None:
    with phone.expect_file_chooser() as dialog:
        phone.locator("#picture button").first.click()
    accepted = dialog.value.element.get_attribute("accept")
    assert accepted == "image/*,.heic,.heif,.avif,.pdf"


def test_a_picture_can_be_pasted_or_dropped_anywhere_and_a_phone_then_shows_it(phone: Page) -> None:
    assert send(phone, "paste", "body", "a.png")
    expect(phone.locator("#stage img")).to_be_in_viewport(ratio=0.9)
    phone.evaluate("scrollTo(0, 0)")
    assert send(phone, "drop", "#title", "a.png", "b.png", "c.png")
    expect(phone.locator("#dropped")).to_have_text(
        "This page takes one picture: the first of the 3 is here. The page “Many pictures” takes all of them."
    )
    expect(phone.locator("#stage img")).to_be_in_viewport(ratio=0.9)
    assert send(phone, "drop", "#stage", "a.png")
    expect(phone.locator("#dropped")).to_be_empty()


def drag(page: Page, **carried: list[object]) -> None:
    """Drag something of the system over the page and drop it; only so there are folders and links."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "dragOperationsMask": 1, **carried}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 300, "data": data})


def test_a_folder_and_a_link_are_said_and_a_picture_beside_a_folder_is_taken(phone: Page, tmp_path: Path) -> None:
    drag(phone, files=[str(tmp_path)])
    expect(phone.locator("#dropped")).to_have_text("That was a folder. Open it, and drop a picture that lies in it.")
    drag(phone, items=[{"mimeType": "text/uri-list", "data": "https://example.org/a.jpg"}])
    expect(phone.locator("#dropped")).to_have_text(
        "That was a link, not a file. Save the picture first, then drop the file."
    )
    expect(phone.locator("#stage img")).to_be_hidden()
    drag(phone, files=[str(tmp_path), str(MEADOW)])
    expect(phone.locator("#stage img")).to_be_visible()
    expect(phone.locator("#dropped")).to_be_empty()


def test_a_file_is_judged_by_its_content_and_not_by_the_type_that_the_browser_gives_it(
    phone: Page, tmp_path: Path
) -> None:
    (tmp_path / "IMG_0001.HEIC").write_bytes(MEADOW.read_bytes())
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0 ftypisom")
    drag(phone, files=[str(tmp_path / "film.mp4")])
    expect(phone.locator("#problem")).to_contain_text("This file is a video. Accepted are JPEG")
    drag(phone, files=[str(tmp_path / "IMG_0001.HEIC")])
    expect(phone.locator("#stage img")).to_be_visible()
    expect(phone.locator("#problem")).not_to_contain_text("video")
    dropped = phone.locator("#stage img").get_attribute("src")
    give_file(phone, {"name": "no extension", "mimeType": "", "buffer": BEACH.read_bytes()})
    expect(phone.locator("#stage img")).not_to_have_attribute("src", str(dropped))
    expect(phone.locator(".toast-body")).to_have_count(0)


def test_a_file_that_is_too_large_is_not_sent(phone: Page) -> None:
    phone.evaluate("gradio_config.max_file_size = 2048")
    phone.set_input_files("#picture input[type=file]", MEADOW)
    expect(phone.locator("#dropped")).to_contain_text("MB; the limit is 0.1. Scale the picture down or save it as JPEG")
    phone.evaluate("gradio_config.max_file_size = null")  # no limit, as Gradio says it
    give_file(phone, MEADOW)
    expect(phone.locator("#stage img")).to_be_visible()
    expect(phone.locator("#dropped")).to_be_empty()


def test_text_goes_to_the_text_field_that_it_is_pasted_into(phone: Page) -> None:
    choose(phone, "Find the things I name")
    expect(phone.locator("#phrase textarea")).to_be_visible()
    assert not send(phone, "paste", "#phrase textarea", "a.png", text="a car")
    assert not send(phone, "paste", "body", text="a car")
    assert send(phone, "paste", "#phrase textarea", "a.png")


def film(path: Path) -> None:
    """What the camera sees: white at its left, black at its right."""
    luma = np.full((240, 320), 16, np.uint8)
    luma[:, :160] = 235
    chroma = np.full((2, 120, 160), 128, np.uint8)
    frame = b"FRAME\n" + luma.tobytes() + chroma.tobytes()
    path.write_bytes(b"YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420jpeg\n" + 10 * frame)


def test_the_camera_gives_what_its_lens_saw_for_the_second_picture_too(
    browser: Browser, chromium: str, address: str, tmp_path: Path
) -> None:
    film(tmp_path / "film.y4m")
    fakes = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    fakes.append(f"--use-file-for-fake-video-capture={tmp_path / 'film.y4m'}")
    camera = browser.browser_type.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", *fakes])
    page = camera.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    page.click("#picture button[aria-label='Capture from camera']")
    for _turn in ("first", "second"):  # the field stays with the camera
        page.get_by_text("Click to Access Webcam").click()
        page.wait_for_function("document.querySelector('#picture video')?.readyState >= 3")
        with page.expect_response(is_about_a_file):
            page.click("#picture button[aria-label='capture photo']")
        expect(page.locator("#picture video")).to_be_hidden()
        expect(page.locator("#stage img")).to_be_visible()
        address_of_picture = page.locator("#stage img").evaluate("picture => picture.src")
        with Image.open(BytesIO(page.request.get(address_of_picture).body())) as picture:
            gray = np.asarray(picture.convert("L"))
        width = gray.shape[1]
        assert gray[:, : width // 3].mean() > 200, "the picture is mirrored"
        assert gray[:, 2 * width // 3 :].mean() < 50
        unfold(page, "Try an example")
        page.click("#examples button >> nth=0")  # another picture between the two
        expect(page.locator("#stage img")).not_to_have_attribute("src", address_of_picture)
    camera.close()
