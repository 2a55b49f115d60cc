"""What goes to the clipboard, and what a link brings back."""

import io

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.ui.browser.actions import choose, rows, run, take_example, unfold

pytestmark = pytest.mark.browser

_READ_PICTURE = """async () => {
    const [item] = await navigator.clipboard.read();
    return [...new Uint8Array(await (await item.getType("image/png")).arrayBuffer())];
}"""


def pressed(page: Page, *buttons: Locator) -> list[Route]:
    """Press buttons; returns what the server is asked for by them, which waits to go on."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/queue/join?*", hold, times=len(buttons))
    for button in buttons:
        with page.expect_request("**/queue/join?*"):
            button.click()
    return held


def test_table_picture_program_and_link_are_copied_and_the_link_opens_the_same(browser: Browser, address: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(address)
    take_example(page, 1)
    choose(page, "Find the things I name")
    page.fill("#phrase textarea", "meadow, kite, star")
    run(page)
    unfold(page, "Copy")

    def copy(title: str, said: str) -> None:
        page.locator("#copies").get_by_role("button", name=title, exact=True).click()
        expect(page.locator("#copy-line")).to_contain_text(said)

    def clipboard() -> str:
        return page.evaluate("navigator.clipboard.readText()")

    copy("Table", "table is copied")
    header, *lines = (row.split("\t") for row in clipboard().splitlines())
    assert header[:3] == ["label", "score", "x_min"]
    assert [row[0] for row in lines] == rows(page)
    copy("Picture", "picture is copied")
    assert Image.open(io.BytesIO(bytes(page.evaluate(_READ_PICTURE)))).size == (720, 720)
    copy("curl", "commands are copied")
    assert f"BASE={address}/gradio_api" in clipboard()
    table, link = (page.locator("#copies").get_by_role("button", name=title, exact=True) for title in ("Table", "Link"))
    for on_its_way in pressed(page, table, link):
        on_its_way.continue_()
    expect(page.locator("#copy-line")).to_contain_text("link is copied")
    asked = clipboard()
    assert asked.startswith(f"{address}/?task="), "of two that wait the one that was pressed last"
    other = context.new_page()
    other.goto(asked)
    expect(other.locator("#task input")).to_have_value("Find the things I name")
    expect(other.locator("#phrase textarea")).to_have_value("meadow, kite, star")
    run(other)
    assert rows(other) == rows(page)
    assert other.evaluate("location.search") == ""
    other.reload()
    expect(other.locator("#regions")).to_contain_text("kite")
    other.goto(f"{address}?task=<OD>&regions=[[1")
    expect(other.locator("#problem")).to_contain_text("This link holds no question that can be read.")
    expect(other.locator("#regions")).to_contain_text("kite")
    names: list[str] = []
    page.on("download", lambda download: names.append(download.suggested_filename))
    (saving,) = pressed(page, page.locator("#save"))
    page.click("#save")  # again, as after a correction
    with page.expect_event("download", lambda _: len(names) == 2):
        saving.continue_()
    (saving,) = pressed(page, page.locator("#save"))
    take_example(page)
    expect(page.locator("#save")).to_be_hidden()
    with page.expect_download() as saved:
        saving.continue_()
    assert saved.value.suggested_filename == "meadow-annotated.png", "what was there when it was pressed"
    context.close()
