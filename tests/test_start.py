"""What the page waits for, and what it does not."""

import subprocess
import sys
import threading

import gradio as gr
import pytest

from playground.checkpoints.catalog import BUNDLED
from playground.paths import ASSETS
from playground.ui.server.one_server import without_servers
from tests.holds.start import ROOT, imported_until_the_page

# What a model, a drawing or a file of some kind needs, each a second or a tenth of one.
LATE = {
    "torch", "transformers", "tokenizers", "safetensors", "supervision", "cv2", "scipy", "matplotlib", "av", "fpdf",
    "fontTools", "pypdfium2", "contourpy", "ray", "peft", "accelerate",
}  # fmt: skip
# What loads and runs a model as well, and takes three seconds and 140 MB.
NOT_ANSWERING = {
    "transformers", "torch._dynamo", "accelerate", "scipy", "sympy",
}  # fmt: skip
EXAMPLE = ASSETS / "examples" / "beach.png"


@pytest.fixture(scope="module")
def imported() -> dict[str, float]:
    for stub in ROOT.glob("playground/**/*.pyi"):
        stub.unlink()
    return imported_until_the_page()


def test_the_page_waits_for_nothing_that_is_needed_later(imported: dict[str, float]) -> None:
    assert {"gradio", "playground"} <= imported.keys()
    assert LATE & imported.keys() == set()


def test_an_answer_waits_for_no_class_of_transformers() -> None:
    code = f"""import sys; from playground.predictor import Predictor
predictor = Predictor.load({BUNDLED!r}, device="cpu", offline=True)
assert predictor.predict({str(EXAMPLE)!r}, "<CAPTION>").text
print({NOT_ANSWERING!r} & sys.modules.keys())"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "set()"


def test_nothing_is_written_beside_the_source(imported: dict[str, float]) -> None:
    assert imported
    assert [*ROOT.glob("playground/**/*.pyi")] == []


def test_pages_get_their_server_when_they_are_launched_and_what_others_build_meanwhile_at_once() -> None:
    others = []

    def build_another() -> None:
        with gr.Blocks(analytics_enabled=False) as other:
            gr.Markdown("another")
        others.append(other)

    with without_servers():
        with gr.Blocks(analytics_enabled=False) as app:
            gr.Markdown("first page")
        with app.route("Second", "/second"):
            gr.Markdown("second page")
        thread = threading.Thread(target=build_another)
        thread.start()
        thread.join()
    assert others[0].app.routes
    assert app.app is None
    app.launch(prevent_thread_lock=True, quiet=True)
    try:
        assert app.app.routes
        assert [name for name, *_ in app.config["pages"]] == ["", "second"]
    finally:
        app.close(verbose=False)
