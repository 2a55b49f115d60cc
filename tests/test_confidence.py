"""How sure a model is of an answer and of a picture: from its own probabilities, and what is said of it."""

import json
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from playground.answering import GrowingAnswer, Prompt, mean_probability
from playground.checkpoints import catalog
from playground.checkpoints.catalog import BUNDLED, Checkpoint, Probe
from playground.engines import Ask
from playground.errors import EngineFailed
from playground.events import Decoding, Event, Finished, RunStage, Token
from playground.one_engine import OneEngine
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from playground.scenes.examples import examples
from playground.scenes.scene import Scene
from playground.tasks import get_task

TINY = catalog.resolve(BUNDLED)
CLASSES, EXPRESSIONS = "<OPEN_VOCABULARY_DETECTION>", "<REFERRING_EXPRESSION_SEGMENTATION>"
PHOTOGRAPHS = ("cheetah1.jpg", "lion.jpg", "tower.jpg")


def word(text: str, chance: float) -> Token:
    return Token(7, text, logprob=math.log(chance))


def location(bin_: int, mass: float) -> Token:
    return Token(8, f"<loc_{bin_}>", logprob=-9.0, bin_probability=mass, is_special=True)


END = Token(2, "</s>", logprob=0.0, is_special=True)


# --- What is measured


@pytest.mark.parametrize(
    ("tokens", "probability"),
    [
        pytest.param([word("a", 0.25), word("b", 1.0)], 0.5, id="geometric mean"),
        pytest.param([location(5, 0.64), END], 0.8, id="a location counts with its neighbors"),
        pytest.param([location(5, 0.0)], 1e-9, id="no chance at all"),
        pytest.param([Token(1, "a", logprob=1e-7)], 1.0, id="never above 1"),
        pytest.param([], None, id="no token"),
        pytest.param([word("a", 0.5), Token(1, "b")], None, id="one was not measured"),
        pytest.param([Token(1, "a", logprob=-math.inf)], None, id="no number"),
    ],
)
def test_tokens_are_as_sure_as_their_geometric_mean(tokens: Sequence[Token], probability: float | None) -> None:
    assert mean_probability(tokens) == (None if probability is None else pytest.approx(probability))


CAR = [word("car", 0.64), *(location(bin_, 1.0) for bin_ in (1, 2, 3, 4))]
UNSURE_DOG = [word("dog", 0.2), *(location(bin_, 0.5) for bin_ in (1, 2, 3, 4))]


@pytest.mark.parametrize(
    ("task", "tokens", "confidence"),
    [
        pytest.param("<OD>", [*CAR, *UNSURE_DOG, END], 0.37, id="regions: the mean of 0.64 and 0.1"),
        pytest.param("<OD>", [Token(2, "</s>", math.log(0.3), is_special=True)], 0.3, id="nothing found"),
        pytest.param("<CAPTION>", [word("A car.", 0.81), END], 0.9, id="text"),
        pytest.param("<REGION_TO_CATEGORY>", CAR, 0.64, id="text with its box"),
        pytest.param("<OD>", [], None, id="nothing yet"),
        pytest.param("<OD>", [Token(7, "car"), *CAR[1:]], None, id="a region without a score"),
    ],
)
def test_an_answer_is_as_sure_as_its_regions_or_its_text(
    task: str, tokens: Sequence[Token], confidence: float | None
) -> None:
    answer = GrowingAnswer(Prompt(get_task(task)), (1000, 1000), frozenset())
    for token in tokens:
        answer.take(token)
    assert answer.confidence == (None if confidence is None else pytest.approx(confidence))


# --- The bounds of a checkpoint


def checkpoint_of(folder: Path, **facts: Any) -> Checkpoint:
    (folder / "playground.json").write_text(json.dumps(facts), encoding="utf-8")
    return catalog.resolve(str(folder))


def test_the_published_checkpoints_are_never_unsure() -> None:
    for row in catalog.CATALOG[:4]:
        assert (row.min_score, row.probe) == (0.0, None)
        assert not row.is_unsure("<OD>", 0.0, 0.0)


def test_the_bundled_checkpoint_has_a_bound_for_each_task_that_it_knows() -> None:
    assert TINY.min_confidence.keys() == TINY.known_tasks
    assert all(0 < bound < 1 for bound in TINY.min_confidence.values())
    assert 0 < TINY.min_score < 1
    assert TINY.probe is not None
    assert "not sure" in TINY.unsure_note


@pytest.mark.parametrize(
    ("confidence", "picture_confidence", "is_unsure"),
    [
        pytest.param(0.5, 0.9, False, id="at both bounds"),
        pytest.param(0.49, 1.0, True, id="unsure of the answer"),
        pytest.param(1.0, 0.89, True, id="unsure of the picture"),
        pytest.param(None, None, False, id="nothing was measured"),
    ],
)
def test_an_answer_below_a_bound_is_unsure(
    tmp_path: Path, confidence: float | None, picture_confidence: float | None, is_unsure: bool
) -> None:
    probe = {"task": "<CAPTION>", "last_tokens": 3, "min_confidence": 0.9}
    checkpoint = checkpoint_of(tmp_path, min_confidence={"<OD>": 0.5}, probe=probe)
    assert checkpoint.probe == Probe("<CAPTION>", 3, 0.9)
    assert checkpoint.is_unsure("<OD>", confidence, picture_confidence) == is_unsure
    assert not checkpoint.is_unsure("<OCR>", 0.0, 1.0)  # no bound is given


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        pytest.param({"min_score": 1.5}, "min_score must be a number from 0 to 1, but got 1.5", id="above 1"),
        pytest.param({"min_score": "high"}, "min_score must be a number from 0 to 1, but got 'high'", id="a word"),
        pytest.param({"min_score": True}, "min_score must be a number from 0 to 1, but got True", id="a truth"),
        pytest.param({"min_confidence": 0.5}, "min_confidence must hold a number for each task", id="one for all"),
        pytest.param({"min_confidence": {"<OD>": -1}}, "min_confidence of <OD> must be a number", id="negative"),
        pytest.param({"probe": {"task": "<CAPTION>"}}, "probe must have a task, last_tokens and", id="half a probe"),
        pytest.param({"probe": "<CAPTION>"}, "probe must have a task, last_tokens and", id="no object"),
        pytest.param(
            {"probe": {"task": "<SING>", "last_tokens": 1, "min_confidence": 0}}, "is not a task", id="no task"
        ),
        pytest.param(
            {"probe": {"task": CLASSES, "last_tokens": 1, "min_confidence": 0}},
            "a task without input",
            id="a task that needs a phrase",
        ),
    ],
)
def test_bounds_that_mean_nothing_are_told_and_not_used(tmp_path: Path, facts: dict[str, Any], sentence: str) -> None:
    checkpoint = checkpoint_of(tmp_path, **{"title": "Mine", "note": "A note.", **facts})
    assert checkpoint.fault.startswith(f"The playground.json of {tmp_path.name} is not used: ")
    assert sentence in checkpoint.fault
    assert (checkpoint.note, checkpoint.min_score, checkpoint.probe) == ("", 0.0, None)


# --- The use case


class ProbedEngine:
    """Is sure of its answers as told, the probe's last."""

    notice = ""
    banned_phrases: frozenset[str] = frozenset()
    max_prompt_tokens, max_answer_tokens, max_asks = 445, 1024, 1
    checkpoint = Checkpoint(
        "probed", "Probed", "probed", min_confidence={"<CAPTION>": 0.5}, probe=Probe("<DETAILED_CAPTION>", 2, 0.8)
    )

    def __init__(self, sure: float, *, of_picture: float = 1.0, is_stopped: bool = False) -> None:
        self._chances = {"What does the image describe?": sure, get_task("<DETAILED_CAPTION>").prompt: of_picture}
        self._is_stopped = is_stopped
        self.asked: list[str] = []

    def num_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(
        self, asks: Sequence[Ask], decoding: Decoding = Decoding(), *, stop: Any = None, deadline: float = math.inf
    ) -> Generator[Event, None, None]:
        ((_, prompt),) = asks
        self.asked.append(prompt)
        yield word("never looked at", 0.01) if len(self.asked) == 2 else word("A", self._chances[prompt])
        yield word(" cat", self._chances[prompt])
        yield word(".", self._chances[prompt])
        yield Finished(is_truncated=False, is_stopped=self._is_stopped)


def asked_of(engine: Any) -> tuple[Predictor, Prediction]:
    predictor = Predictor(OneEngine(engine))
    return predictor, predictor.predict(Image.new("RGB", (60, 40)), "<CAPTION>")


@pytest.mark.parametrize(
    ("sure", "of_picture", "is_unsure"),
    [
        pytest.param(0.6, 0.9, False, id="sure"),
        pytest.param(0.4, 0.9, True, id="unsure of the answer"),
        pytest.param(0.6, 0.7, True, id="unsure of the picture"),
    ],
)
def test_an_unsure_answer_is_kept_whole_and_told(sure: float, of_picture: float, is_unsure: bool) -> None:
    _, prediction = asked_of(ProbedEngine(sure, of_picture=of_picture))
    assert prediction.text == "A cat."
    assert prediction.confidence == pytest.approx(sure)
    assert prediction.picture_confidence == pytest.approx(of_picture)
    assert prediction.is_unsure == is_unsure
    assert ("The model is not sure of this answer." in prediction.notices) == is_unsure
    assert Prediction.from_dict(prediction.to_dict()) == prediction


def test_a_picture_is_probed_once_and_after_the_answer() -> None:
    engine = ProbedEngine(0.6)
    predictor, first = asked_of(engine)
    assert engine.asked == ["What does the image describe?", "Describe in detail what is shown in the image."]
    again = list(predictor.run(Image.new("RGB", (60, 40)), Question("<CAPTION>")))
    assert engine.asked[2:] == ["What does the image describe?"]
    assert {step.picture_confidence for step in again[1:]} == {first.picture_confidence}
    assert first.raw_text == again[-1].raw_text == "A cat."
    predictor.predict(Image.new("RGB", (61, 40)), "<CAPTION>")
    assert len(engine.asked) == 5


def test_a_stopped_run_judges_no_picture() -> None:
    engine = ProbedEngine(0.6, is_stopped=True)
    _, prediction = asked_of(engine)
    assert (prediction.stage, prediction.picture_confidence) == (RunStage.STOPPED, None)
    assert len(engine.asked) == 1


def test_a_probe_that_fails_or_is_stopped_takes_nothing_from_a_complete_answer() -> None:
    class FailingProbe(ProbedEngine):
        def generate(self, *arguments: Any, **options: Any) -> Generator[Event, None, None]:
            if self.asked:
                raise EngineFailed("The machine ran out of memory.")
            yield from super().generate(*arguments, **options)

    class StoppedProbe(ProbedEngine):
        def generate(self, *arguments: Any, **options: Any) -> Generator[Event, None, None]:
            is_probe = bool(self.asked)
            for event in super().generate(*arguments, **options):
                yield replace(event, is_stopped=is_probe) if isinstance(event, Finished) else event

    for engine in (FailingProbe(0.6), StoppedProbe(0.6)):
        _, prediction = asked_of(engine)
        assert (prediction.text, prediction.stage) == ("A cat.", RunStage.DONE)
        assert (prediction.picture_confidence, prediction.is_unsure) == (None, False)


@pytest.mark.parametrize(
    ("wire", "confidence"),
    [
        pytest.param({}, None, id="written before there was any"),
        pytest.param({"confidence": 0.25}, 0.25, id="measured"),
        pytest.param({"confidence": None}, None, id="not measured"),
    ],
)
def test_the_confidence_is_read_from_whoever_sends_it(wire: dict[str, Any], confidence: float | None) -> None:
    read = Prediction.from_dict({"task": "<OD>", "checkpoint": "tiny", "resolution_wh": [1, 1], **wire})
    assert (read.confidence, read.picture_confidence, read.is_unsure) == (confidence, None, False)


# --- What was not found


def found(task: str, phrase: str, *labels: str, **changes: Any) -> Prediction:
    regions = tuple(Region(label, (0, 0, 1, 1)) for label in labels)
    prediction = Prediction(Question(task, phrase), "tiny", (9, 9), regions=regions, stage=RunStage.DONE)
    return replace(prediction, **changes)


@pytest.mark.parametrize(
    ("prediction", "names"),
    [
        pytest.param(found(CLASSES, "helmet, vest, bus", "bus"), ("helmet", "vest"), id="two of three"),
        pytest.param(found(CLASSES, "helmet"), ("helmet",), id="nothing at all"),
        pytest.param(found(CLASSES, "Bus, trees", "bus", "tree"), (), id="in other words"),
        pytest.param(found(CLASSES, "glass, bus", "bus"), ("glass",), id="no plural"),
        pytest.param(found(CLASSES, "bus", ""), (), id="a region without a name"),
        pytest.param(found(EXPRESSIONS, "the red car, the cat", "the cat"), ("the red car",), id="outlines"),
        pytest.param(found("<OD>", "bus"), (), id="a task that names nothing"),
        pytest.param(found("<CAPTION_TO_PHRASE_GROUNDING>", "A bus."), (), id="a sentence"),
        pytest.param(found(CLASSES, "bus", stage=RunStage.STOPPED), (), id="stopped before it was found"),
        pytest.param(found(CLASSES, "bus", stage=RunStage.WRITING), (), id="being written"),
        pytest.param(found(CLASSES, "bus", is_truncated=True), (), id="cut before it was found"),
    ],
)
def test_what_was_not_found_is_known_by_name(prediction: Prediction, names: tuple[str, ...]) -> None:
    assert prediction.missing_names() == names


# --- The bundled checkpoint


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8))


def checkerboard() -> Image.Image:
    fields = np.add.outer(np.arange(240) // 20, np.arange(320) // 20)
    return Image.fromarray((fields % 2 * 255).astype(np.uint8))


def page_of_text() -> Image.Image:
    page = Image.new("RGB", (400, 520), "white")
    for line in range(24):
        ImageDraw.Draw(page).text((24, 20 + 20 * line), "The quick brown fox jumps over the lazy dog", fill="black")
    return page


@pytest.mark.parametrize("make", [noise, checkerboard, page_of_text])
@pytest.mark.parametrize("task", ["<OD>", "<DETAILED_CAPTION>", "<DENSE_REGION_CAPTION>"])
def test_the_demo_model_is_unsure_of_what_nobody_drew(
    predictor: Predictor, task: str, make: Callable[[], Image.Image]
) -> None:
    prediction = predictor.predict(make(), task)
    assert prediction.is_unsure
    assert TINY.unsure_note in prediction.notices


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("task", ["<OD>", "<CAPTION>"])
def test_the_demo_model_is_unsure_of_photographs(predictor: Predictor, task: str, name: str) -> None:
    import gradio

    prediction = predictor.predict(Path(gradio.__file__).parent / "media_assets" / "images" / name, task)
    assert prediction.is_unsure
    assert prediction.regions or prediction.text


def test_the_demo_model_finds_nothing_on_plain_ground(predictor: Predictor) -> None:
    gradient = np.linspace(0, 255, 240 * 320 * 3).reshape(240, 320, 3).astype(np.uint8)
    prediction = predictor.predict(Image.fromarray(gradient), "<OD>")
    assert (prediction.text, prediction.regions) == ("", ())


def test_the_demo_model_is_sure_of_a_scene(predictor: Predictor, scene: Scene) -> None:
    for example in examples(scene).values():
        prediction = predictor.predict(scene.image, example.question)
        assert not prediction.is_unsure
        assert prediction.confidence is not None
        assert prediction.picture_confidence is not None
        assert TINY.unsure_note not in prediction.notices
