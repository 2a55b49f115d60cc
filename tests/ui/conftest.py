"""A cache and a server of each file's own, and a way to see every step of a run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui import streams
from tests.live import Http, running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Gradio's upload cache, while the tests of one file run."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture
def upload(cache: Path) -> Callable[..., str]:
    """Put a picture into the upload cache, as the page does, and return its path."""

    def write(resolution_wh: tuple[int, int] = (60, 40), name: str = "street.png") -> str:
        path = cache / name
        Image.new("RGB", resolution_wh, "#88aacc").save(path)
        return str(path)

    return write


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show each prediction, however soon after the one before."""
    monkeypatch.setattr(streams, "_SECONDS_BETWEEN_UPDATES", 0)


@pytest.fixture(scope="module")
def url(predictor: Predictor, cache: Path) -> Iterator[str]:
    """Where the bundled checkpoint is served."""
    with running(predictor, Settings(offline=True), cache) as address:
        yield address


@pytest.fixture(scope="module")
def http(url: str) -> Http:
    return Http(url)
