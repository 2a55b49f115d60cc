"""What this tab was asked before, to go back to."""

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.browser.actions import choose, rows, run, take_example, unfold

pytestmark = pytest.mark.browser


def test_an_answer_of_before_comes_back_with_its_picture_and_question_also_after_a_reload(
    browser: Browser, address: str
) -> None:
    page = browser.new_page()
    page.goto(address)
    past = page.locator("#past")
    take_example(page, 0)
    run(page)
    expect(past).to_be_hidden()
    choose(page, "Find the things I name")
    page.fill("#phrase textarea", "rocket")
    run(page)
    take_example(page, 1)
    choose(page, "Short caption")
    run(page)
    unfold(page, "Asked before (3)")
    questions = past.locator("b")
    asked = ["Short caption", "Find the things I name: rocket", "Find every object"]
    expect(questions).to_have_text(asked)
    page.reload()
    unfold(page, "Asked before (3)")
    expect(questions).to_have_text(asked)
    questions.nth(2).click()
    expect(page.locator("#task input")).to_have_value("Find every object")
    expect(page.locator("#regions")).to_contain_text("umbrella")
    assert rows(page) == ["rocket", "ball", "umbrella"]
    expect(page.locator("#status")).to_contain_text("Done in")
    past.get_by_role("button", name="Forget: Short caption").click()
    expect(questions).to_have_count(2)
    run(page)  # the same question again is no other entry
    expect(questions).to_have_count(2)
    page.close()
