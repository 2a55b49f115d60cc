"""What a visitor does on the page, each until it has taken effect."""

from playwright.sync_api import FilePayload, Page, Response, expect


def give_file(page: Page, file: str | FilePayload) -> None:
    """Give the field a file, and wait until it has been looked at and the field takes the next one.

    Gradio builds the field anew after each file: what is given to the old one in that moment is lost.
    """
    with page.expect_response(is_about_a_file):
        page.set_input_files("#picture input[type=file]", file)
    expect(page.locator("#picture img")).to_have_count(0)


def is_about_a_file(response: Response) -> bool:
    """Whether the server has looked at a picture from the field."""
    return "/run/predict" in response.url and "orig_name" in (response.request.post_data or "")


def choose(page: Page, title: str) -> None:
    """Choose a task."""
    page.click("#task input")
    page.click(f'#task [role=option][aria-label="{title}"]')


def unfold(page: Page, title: str) -> None:
    """Open a part of the page that is folded away."""
    fold = page.locator(".gr-accordion > button", has_text=title)
    if "open" not in (fold.get_attribute("class") or "").split():
        fold.click()


def take_example(page: Page, index: int = 0) -> None:
    """Click one of the pictures to try, which are folded away once there is a picture."""
    unfold(page, "Try an example")
    page.locator("#examples button").nth(index).click()


def run(page: Page) -> None:
    """Press Run, and wait until the answer is there and the next question can be asked.

    By key: where the page moves between a mouse's press and its release, as when a picture comes, there is no click.
    """
    button = page.locator("#run")
    expect(button).to_be_enabled()
    with when_a_run_is_over(page):
        button.press("Enter")
    expect(page.locator("#status")).to_contain_text("Done in")


def when_a_run_is_over(page: Page):  # Playwright's own type is not public
    """Wait, at the end of the block, for the run that begins in it: the status may still tell of the one before."""
    ends = page.evaluate("gradio_config.dependencies.filter((d) => d.api_name.startsWith('rest')).map((d) => d.id)")

    def is_end(response: Response) -> bool:
        return "/run/predict" in response.url and response.request.post_data_json["fn_index"] in ends

    return page.expect_response(is_end, timeout=60_000)


def controls(page: Page) -> list[str]:
    """All that can be operated in the window, beside the rows of the table and the zoom, each by what it says."""
    return page.evaluate("""() => [...document.querySelectorAll("button, input, textarea, select, a[href], summary")]
      .filter((one) => !one.disabled && !one.closest("#regions tbody, .stage-zoom"))
      .filter((one) => {
        if (!one.checkVisibility({ visibilityProperty: true })) return false;
        const { width, height, top, bottom } = one.getBoundingClientRect();
        return width && height && bottom > 0 && top < innerHeight;
      })
      .map((one) => `${one.closest("[id]")?.id}: ${one.ariaLabel || one.innerText || one.value}`)""")


def rows(page: Page) -> list[str]:
    """The labels of the table."""
    return page.locator("#regions tbody .region-table-label").all_inner_texts()
