"""A browser and a page to visit, for the tests that need them."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from playground.predictor import Predictor
from playground.serving.beside import engines_of
from playground.settings import Settings
from tests.live import running
from tests.ui.doubles import DirectedPredictor

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP *.example.org 127.0.0.1",
]

expect.set_options(timeout=30_000)  # a machine may have other work; what is expected mostly comes at once


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is on this machine; without it the tests are skipped, in CI they fail."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        reason = "No chromium was found on PATH; install Debian's package `chromium` to run the browser tests."
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found


@pytest.fixture(scope="module")  # while Playwright is up, this thread has an event loop, and other tests make their own
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium as installed on this machine."""
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=_QUIET)
        yield chrome
        chrome.close()


@pytest.fixture(scope="module")
def settings() -> Settings:
    """The settings of the page."""
    return Settings(offline=True)


@pytest.fixture(scope="module")
def served(settings: Settings, request: pytest.FixtureRequest) -> Iterator[DirectedPredictor]:
    """What answers on the page: the bundled checkpoint, here or in a cluster, or what a test tells it to say."""
    if not settings.engines:
        yield DirectedPredictor(request.getfixturevalue("predictor"))
        return
    with engines_of(settings) as engines:
        engines.wait()
        yield DirectedPredictor(Predictor(engines))
        engines.close()


@pytest.fixture(scope="module")
def address(served: DirectedPredictor, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the whole page is served, on the bundled checkpoint."""
    with running(served, settings, tmp_path_factory.mktemp("cache")) as url:
        yield url
