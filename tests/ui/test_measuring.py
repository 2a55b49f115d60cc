"""The page for measuring, without a browser."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

import gradio as gr
import pytest
from PIL import Image

from playground.checkpoints.catalog import BUNDLED
from playground.errors import CheckpointUnavailable
from playground.evaluation import asking_data
from playground.pool import Pool, Steps
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.settings import Settings
from playground.ui.measure import handlers as measuring
from playground.ui.measure.handlers import MeasureForm, MeasureHandlers
from tests.ui.doubles import ScriptedPredictor

TAB: Any = gr.Request(session_hash="tab")


def no_model(*_: object, **__: object) -> Never:
    raise CheckpointUnavailable("Nothing is loaded here.")


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        pytest.param({"files": []}, "There is no data set yet", id="nothing"),
        pytest.param({"limit": 9999}, "must be a number from 1 to 200, but got 9999", id="too many"),
        pytest.param({"limit": None}, "but got nothing", id="an empty field"),
        pytest.param({}, "'cars.zip' is no data set that is known here", id="no labels"),  # and not where it lies
    ],
)
def test_what_cannot_be_measured_is_a_sentence(tmp_path: Path, form: dict[str, Any], sentence: str) -> None:
    with zipfile.ZipFile(tmp_path / "cars.zip", "w") as archive:
        archive.writestr("readme.txt", "cars")
    handlers = MeasureHandlers(ScriptedPredictor(), Settings(offline=True))
    handlers.begin(TAB)
    given = {"files": [str(tmp_path / "cars.zip")], "checkpoints": [], "task": "", "limit": 5, **form}
    [*_, last] = handlers.run(MeasureForm(**given), TAB)
    assert last["status"][0]["tone"] == "error"
    assert sentence in last["status"][0]["text"]
    assert str(tmp_path) not in last["status"][0]["text"]


def test_the_page_says_of_own_answers_that_they_are_no_truth(tmp_path: Path, predictor: Predictor) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    wire = Prediction(Question("<OD>"), "mine", (64, 64), is_final=True).to_dict()
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "a.png")
        archive.writestr("predictions.jsonl", json.dumps({"picture": "a", **wire}))
    handlers = MeasureHandlers(predictor, Settings(offline=True))
    handlers.begin(TAB)
    _, *asking, done = handlers.run(MeasureForm([str(tmp_path / "mine.zip")], [], "", 5), TAB)
    for step in (*asking, done):
        assert "whoever gave one agrees with it" in step["status"][-1]["text"]
    assert done["status"][0]["text"] == "Done. 1 picture was measured."
    assert "whoever gave one agrees with it" in done["report"]


def test_stop_is_the_last_that_is_said_until_the_report_says_what_was_asked(
    tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    line = json.dumps({"image": "a.png", "prefix": "<CAPTION>", "suffix": "Red."})
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "a.png")
        archive.writestr("lines.jsonl", f"{line}\n{line}")
    handlers = MeasureHandlers(predictor, Settings(offline=True))
    ask = asking_data.ask_in_groups

    def stopped(*given: Any, **options: Any) -> Iterator[list[asking_data.Outcome]]:
        some = next(ask(*given, **{**options, "group_size": 1}))
        handlers.stop(TAB)
        yield some

    monkeypatch.setattr(asking_data, "ask_in_groups", stopped)
    monkeypatch.setattr(measuring, "_SECONDS_BETWEEN_LINES", -1.0)
    handlers.begin(TAB)
    form = MeasureForm([str(tmp_path / "mine.zip")], [BUNDLED, BUNDLED], "", 5)
    said = [step["status"][0]["text"] for step in handlers.run(form, TAB)]
    told = f"Stopped: {BUNDLED} was asked about 1 of 2 pictures, and what comes after it about none."
    assert said[1:] == [f"Waiting for {BUNDLED}.", "Writing the report.", told]


def test_a_measurement_that_was_stopped_or_left_in_the_queue_asks_nothing() -> None:
    handlers = MeasureHandlers(ScriptedPredictor(), Settings(offline=True))
    handlers.begin(TAB)
    handlers.stop(TAB)
    assert list(handlers.run(MeasureForm([], [], "", 5), TAB)) == []


def test_a_page_that_opens_offers_what_was_taught_since_the_start(tmp_path: Path) -> None:
    settings = Settings(checkpoint=BUNDLED, device="cpu", offline=True)
    pool = Pool(settings, steps=Steps(load=no_model))
    handlers = MeasureHandlers(Predictor(pool), settings)
    taught = pool.add_adapter(BUNDLED, tmp_path)
    try:
        assert taught in dict(handlers.open()["checkpoints"]["choices"]).values()
    finally:
        pool.close()
