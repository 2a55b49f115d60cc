"""The field that takes a picture, as the tests use it."""

from playwright.sync_api import FilePayload, Page, Response, expect


def give_file(page: Page, file: str | FilePayload) -> None:
    """Give the field a file, and wait until it has been looked at and the field takes the next one.

    Gradio builds the field anew after each file: what is given to the old one in that moment is lost.
    """
    with page.expect_response(_is_about_a_file):
        page.set_input_files("#picture input[type=file]", file)
    expect(page.locator("#picture img")).to_have_count(0)


def _is_about_a_file(response: Response) -> bool:
    return "/run/predict" in response.url and "orig_name" in (response.request.post_data or "")
