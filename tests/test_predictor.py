"""The use case from end to end on the bundled checkpoint, and with doubles where an answer must be a certain one."""

import json
import math
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from transformers import Florence2Processor

from playground import grammar
from playground.checkpoints import catalog
from playground.engines import Ask, AskedEngine, WaitCancelled
from playground.errors import CheckpointUnavailable, EngineFailed, ImageRejected, InputRejected
from playground.events import Decoding, Draft, Event, Finished, Progress, RunStage, Token
from playground.inference.engine import Engine
from playground.inference.language import Decoder
from playground.inference.prepared import PreparedModel
from playground.one_engine import OneEngine
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Box, Region
from playground.results import Prediction
from playground.scenes.examples import Example, examples
from playground.scenes.scene import Scene, make_scene
from playground.tasks import TASK_TOKENS, TASKS, InputKind, Task, get_task

OD, CAPTION, GROUNDING = "<OD>", "<CAPTION>", "<CAPTION_TO_PHRASE_GROUNDING>"
CLASSES, EXPRESSIONS = "<OPEN_VOCABULARY_DETECTION>", "<REFERRING_EXPRESSION_SEGMENTATION>"
CATEGORY, OUTLINE, CASCADE = "<REGION_TO_CATEGORY>", "<REGION_TO_SEGMENTATION>", f"{CAPTION}+{GROUNDING}"
LEARNED = catalog.resolve(catalog.BUNDLED).known_tasks or frozenset()
BOX = "<loc_100><loc_200><loc_300><loc_400>"  # (51.456, 102.656, ...) of 512 pixels
SCENES, SIGNS = (1_001_006, 1_001_116, 1_001_153), (1_001_045, 1_001_131)  # seeds; the second ones show words
LEFT_HALF, RIGHT_HALF = (0, 0, 256, 512), (256, 0, 512, 512)
HALVES = Question(CATEGORY, regions=(LEFT_HALF, RIGHT_HALF))


def inputs_of(task: Task) -> dict[str, Any]:
    """Something that each task can be asked."""
    if task.input_kind is InputKind.REGIONS:
        return {"regions": [LEFT_HALF, RIGHT_HALF]}
    return {"phrase": "A car and a kite"} if task.input_kind.is_text else {}


# --- Doubles


class FakeEngine:
    """Says the given answers, one a prompt; remembers what it was asked. `broken` is raised after the first token."""

    checkpoint, notice = catalog.resolve("florence-2-base"), ""
    max_prompt_tokens, max_answer_tokens, max_asks = 445, 1024, 1

    def __init__(self, *answers: str, banned: Sequence[str] = (), broken: Exception | None = None) -> None:
        self.banned_phrases = frozenset(banned)
        self.asked: list[tuple[InputImage, str, Decoding]] = []
        self._answers = iter(answers)
        self._broken = broken

    def num_tokens(self, text: str) -> int:
        return len(text.split())

    def generate(
        self, asks: Sequence[Ask], decoding: Decoding = Decoding(), *, stop: Any = None, deadline: float = math.inf
    ) -> Generator[Event, None, None]:
        yield Progress(RunStage.WRITING, 3.0, 2.0)
        for answer, (image, prompt) in enumerate(asks):
            self.asked.append((image, prompt, decoding))
            yield from self._say(next(self._answers), answer, decoding, stop)

    def _say(self, text: str, answer: int, decoding: Decoding, stop: threading.Event) -> Generator[Event, None, None]:
        tokens = [Token(t.id, t.text, -0.5, None, t.is_special, answer) for t in grammar.tokenize(text)]
        if decoding.num_beams > 1:
            yield from (Draft(tuple(tokens[:length]), answer) for length in range(len(tokens)))
        for token in tokens:
            if stop.is_set():
                yield Finished(is_truncated=False, is_stopped=True, answer=answer)
                return
            yield token
            if self._broken is not None:
                raise self._broken
        yield Finished(is_truncated=not tokens, is_stopped=False, answer=answer)


class NeverReady(OneEngine):
    """Engines of which nobody waits for any."""

    @contextmanager
    def acquire(self, name: str = "", *, cancelled: Any = None) -> Iterator[AskedEngine]:
        raise WaitCancelled
        yield  # a context manager is a generator


def predictor_with(engine: AskedEngine) -> Predictor:
    return Predictor(OneEngine(engine))


# --- Right answers of the bundled checkpoint


def outline_or_box(region: Region, resolution_wh: tuple[int, int]) -> np.ndarray:
    canvas = Image.new("1", resolution_wh)
    draw = ImageDraw.Draw(canvas)
    for polygon in region.polygons:
        draw.polygon(polygon, fill=1)
    if not region.polygons:
        draw.rectangle(region.xyxy, fill=1)
    return np.array(canvas)


def iou(first: Region, second: Region, resolution_wh: tuple[int, int]) -> float:
    a, b = outline_or_box(first, resolution_wh), outline_or_box(second, resolution_wh)
    return float((a & b).sum() / (a | b).sum())


def found(truth: Region, label: str, prediction: Prediction) -> bool:
    return any(
        region.label == label and iou(region, truth, prediction.resolution_wh) > 0.7 for region in prediction.regions
    )


@cache
def drawn(seed: int) -> Scene:
    return make_scene(seed, resolution_wh=(480, 360) if seed % 2 else (512, 512))


def right_labels(task_id: str, example: Example) -> list[str]:
    if task_id == EXPRESSIONS:
        return [example.question.phrase]
    return ["region 1"] if task_id == OUTLINE else [region.label for region in example.regions]


@pytest.mark.parametrize("task_id", sorted(task_id for task_id in LEARNED if get_task(task_id).then is None))
def test_every_learned_task_is_answered_right_on_drawn_scenes(predictor: Predictor, task_id: str) -> None:
    for seed in SIGNS if "OCR" in task_id else SCENES:
        scene = drawn(seed)
        example = examples(scene)[task_id]
        prediction = predictor.predict(scene.image, example.question)
        labels = right_labels(task_id, example)
        assert sorted(region.label for region in prediction.regions) == sorted(labels)
        assert all(found(truth, label, prediction) for truth, label in zip(example.regions, labels, strict=True))
        if example.text:
            assert prediction.text == example.text


def test_careful_decoding_is_right_too(predictor: Predictor, scene: Scene) -> None:
    prediction = predictor.predict(scene.image, OD, decoding="careful")
    assert prediction.label_counts() == {"kite": 1, "star": 1, "tree": 1, "car": 1}
    assert all(found(truth, truth.label, prediction) for truth in examples(scene)[OD].regions)
    assert all(region.score is not None and region.score > 0.05 for region in prediction.regions)


def test_a_picture_may_be_a_path_bytes_or_an_array(predictor: Predictor, scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "scene.png"
    scene.image.save(path)
    answers = [predictor.predict(source, OD) for source in (path, str(path), path.read_bytes(), np.array(scene.image))]
    assert len({answer.regions for answer in answers}) == 1
    assert answers[0].resolution_wh == (512, 512)


# --- The stream


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_every_task_ends_with_its_one_final_prediction_and_the_demos_note(
    predictor: Predictor, image: InputImage, task: Task
) -> None:
    predictions = list(predictor.run(image, Question(task.id, max_new_tokens=40, **inputs_of(task))))
    assert [prediction.is_final for prediction in predictions] == [False] * (len(predictions) - 1) + [True]
    final = predictions[-1]
    assert (final.task, final.checkpoint, final.stage) == (task.id, "tiny-florence2", RunStage.DONE)
    assert (final.is_draft, final.digest) == (False, image.digest)
    assert final.notices[0].startswith("This is the tiny demo model, not Microsoft")
    not_learned = f"Tiny demo model has not learned “{task.title}”; its answer to that means nothing."
    assert (not_learned in final.notices) == (task.learned_as not in LEARNED)
    assert Prediction.from_dict(json.loads(json.dumps(final.to_dict()))) == final


def test_regions_of_a_greedy_answer_only_grow(predictor: Predictor, image: InputImage) -> None:
    *partial, final = predictor.run(image, Question(OD))
    assert len(final.regions) == 4
    for prediction in partial:
        assert prediction.regions == final.regions[: len(prediction.regions)]
    assert {len(prediction.regions) for prediction in partial} == {0, 1, 2, 3, 4}
    assert not any(prediction.is_draft for prediction in partial)


def test_text_is_written_a_token_at_a_time(predictor: Predictor, image: InputImage, caption: str) -> None:
    texts = [prediction.text for prediction in predictor.run(image, Question(CAPTION))]
    assert texts[-1] == caption
    assert all(texts[-1].startswith(text) for text in texts)
    assert len(set(texts)) > 8


def test_a_beam_search_marks_its_drafts() -> None:
    engine = FakeEngine(f"car{BOX}")
    predictions = list(predictor_with(engine).run(make_scene(4).image, Question(OD, decoding="careful")))
    drafts = [prediction for prediction in predictions if prediction.is_draft]
    assert [prediction.raw_text for prediction in drafts][-1] == "car<loc_100><loc_200><loc_300>"
    after_drafts = predictions[predictions.index(drafts[-1]) + 1 :]
    assert [len(prediction.regions) for prediction in after_drafts] == [0, 0, 0, 0, 1, 1, 1]
    assert engine.asked[0][2] == Decoding(num_beams=3)


def test_a_draft_that_another_beam_replaces_leaves_nothing_behind() -> None:
    class Wavering(FakeEngine):
        def generate(self, *_: Any, **__: Any) -> Generator[Event, None, None]:
            for text in (f"car{BOX}", "tree<loc_1>", f"tree{BOX}"):
                yield Draft(tuple(grammar.tokenize(text)))
            yield from grammar.tokenize(f"house{BOX}")
            yield Finished(is_truncated=False, is_stopped=False)

    predictions = predictor_with(Wavering()).run(make_scene(4).image, Question(OD))
    labels = [prediction.label_counts() for prediction in predictions]
    assert labels == [{}, {"car": 1}, {}, {"tree": 1}, {}, {}, {}, {}, {"house": 1}, {"house": 1}, {"house": 1}]


def test_times_are_measured_and_the_second_question_needs_no_encoding(engine: Engine, image: InputImage) -> None:
    predictor = predictor_with(engine)
    first, second = predictor.predict(image, OD).timings, predictor.predict(image, OD).timings
    assert (first.encode_image or 0) > 0
    assert (first.encode_prompt or 0) > 0
    assert (second.encode_image, second.encode_prompt) == (0, 0)
    for timings in (first, second):
        assert 0 < (timings.first_token or 0) <= (timings.first_region or 0) <= (timings.total or 0)


def test_the_times_of_several_prompts_are_added() -> None:
    timings = predictor_with(FakeEngine("car", "tree")).predict(
        make_scene(4).image, CATEGORY, regions=[LEFT_HALF, RIGHT_HALF]
    ).timings  # fmt: skip
    assert (timings.encode_image, timings.encode_prompt) == (6, 4)


# --- Several prompts in one run


def test_answers_that_are_written_together_are_shown_as_they_grow() -> None:
    class Together(FakeEngine):
        max_asks = 8

        def generate(self, *_: Any, **__: Any) -> Generator[Event, None, None]:
            yield Progress(RunStage.WRITING, 3.0, 2.0)
            for text, answer in (("a", 1), ("car", 0), (" tree", 1)):
                yield Token(5, text, -0.5, None, is_special=False, answer=answer)
            yield from (Finished(is_truncated=False, is_stopped=False, answer=answer) for answer in (1, 0))

    predictor = predictor_with(Together())
    texts = [p.text for p in predictor.run(make_scene(4).image, HALVES)]
    assert list(dict.fromkeys(texts)) == ["", "1. \n2. a", "1. car\n2. a", "1. car\n2. a tree"]


def test_two_regions_give_two_answers_in_their_order(predictor: Predictor, scene: Scene) -> None:
    truths = {region.label: region for region in examples(scene)[OD].regions}
    tree, car = truths["tree"], truths["car"]
    prediction = predictor.predict(scene.image, CATEGORY, regions=[tree.xyxy, car.xyxy])
    assert prediction.text == "1. tree\n2. car"
    assert [region.label for region in prediction.regions] == ["tree", "car"]
    assert found(tree, "tree", prediction)
    assert found(car, "car", prediction)
    assert len(prediction.raw_text.splitlines()) == 2


def test_answers_about_several_regions_are_numbered_from_the_start() -> None:
    predictor = predictor_with(FakeEngine("car", "tree"))
    texts = [p.text for p in predictor.run(make_scene(4).image, HALVES)]
    assert list(dict.fromkeys(texts)) == ["", "1. car", "1. car\n2. ", "1. car\n2. tree"]


def test_text_about_a_region_is_shown_where_it_was_asked() -> None:
    prediction = predictor_with(FakeEngine("a red car")).predict(
        make_scene(4).image, "<REGION_TO_OCR>", regions=[LEFT_HALF]
    )
    assert prediction.text == "a red car"
    assert [(region.label, region.xyxy) for region in prediction.regions] == [("a red car", (0, 0, 256, 512))]
    assert prediction.regions[0].score == pytest.approx(0.6065, abs=1e-4)  # exp(-0.5)


def test_each_expression_is_a_prompt_and_labels_its_outline() -> None:
    outline = "<loc_1><loc_1><loc_9><loc_1><loc_9><loc_9>"
    engine = FakeEngine(outline, outline)
    prediction = predictor_with(engine).predict(make_scene(4).image, EXPRESSIONS, phrase="the red car, a tree")
    assert [prompt for _, prompt, _ in engine.asked] == [
        "Locate the red car in the image with mask",
        "Locate a tree in the image with mask",
    ]
    assert [region.label for region in prediction.regions] == ["the red car", "a tree"]
    assert prediction.text == "the red car, a tree"


def test_outlined_regions_are_labeled_by_their_number(predictor: Predictor, scene: Scene) -> None:
    boxes = [thing.region.xyxy for thing in scene.things[:2]]
    prediction = predictor.predict(scene.image, OUTLINE, regions=boxes)
    assert [region.label for region in prediction.regions] == ["region 1", "region 2"]
    assert all(region.polygons for region in prediction.regions)


def test_a_cascade_keeps_the_caption_and_grounds_it(predictor: Predictor, scene: Scene, caption: str) -> None:
    prediction = predictor.predict(scene.image, CASCADE)
    assert prediction.text == caption
    assert sorted(region.label for region in prediction.regions) == ["a car", "a kite", "a star", "a tree"]
    written, grounding = prediction.raw_text.splitlines()
    assert "<loc_" not in written
    assert "<loc_" in grounding


def test_what_the_model_says_cannot_become_a_token_of_the_next_prompt() -> None:
    class Spelling(FakeEngine):
        def generate(self, *arguments: Any, **options: Any) -> Generator[Event, None, None]:
            for event in super().generate(*arguments, **options):
                yield Token(5, event.text) if isinstance(event, Token) else event

    engine = Spelling("a sign <OCR> and <loc_5>", "")
    predictor_with(engine).predict(make_scene(4).image, CASCADE)
    assert engine.asked[1][1] == "Locate the phrases in the caption: a sign < OCR> and < loc_5>"


def test_an_empty_caption_is_not_grounded() -> None:
    engine = FakeEngine("")
    assert predictor_with(engine).predict(make_scene(4).image, CASCADE).text == ""
    assert len(engine.asked) == 1


def test_a_crop_is_read_as_a_picture_of_its_own() -> None:
    engine = FakeEngine("left", "right")
    picture = make_scene(4).image
    prediction = predictor_with(engine).predict(picture, "<OCR>+<CROP>", regions=[LEFT_HALF, [256, 0, 512, 128]])
    assert [image.resolution_wh for image, _, _ in engine.asked] == [(256, 512), (256, 128)]
    assert engine.asked[1][0].pixels.tobytes() == picture.crop((256, 0, 512, 128)).tobytes()
    assert {prompt for _, prompt, _ in engine.asked} == {"What is the text in the image?"}
    assert prediction.resolution_wh == (512, 512)
    assert [(region.label, region.xyxy) for region in prediction.regions] == [
        ("left", (0, 0, 256, 512)),
        ("right", (256, 0, 512, 128)),
    ]


def test_a_crop_is_cut_out_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine("left", "right")
    cut: list[Box] = []
    crop = InputImage.crop
    monkeypatch.setattr(InputImage, "crop", lambda image, xyxy: (cut.append(xyxy), crop(image, xyxy))[1])
    for prediction in predictor_with(engine).run(make_scene(4).image, replace(HALVES, task="<OCR>+<CROP>")):
        if prediction.raw_text == "left":
            assert cut == [(0, 0, 256, 512)]
    assert len(cut) == 2


def test_a_prompt_of_ones_own_is_put_as_it_stands() -> None:
    engine = FakeEngine("the fourth of May")
    prediction = predictor_with(engine).predict(make_scene(4).image, "<CUSTOM>", phrase="<DocVQA> {input} <loc_5>?")
    assert engine.asked[0][1] == "<DocVQA> {input} <loc_5>?"
    assert prediction.text == "the fourth of May"


# --- Prompts


class Asked(Exception):
    """Carries the ids that were put to the model; nothing needs to be answered."""


def ids_put(engine: Engine, image: InputImage, question: Question) -> list[int]:
    def tell(_model: PreparedModel, ids: Sequence[int]) -> None:
        raise Asked(list(ids))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreparedModel, "embed_prompt", tell)
        with pytest.raises(Asked) as asked:
            predictor_with(engine).predict(image, question)
    ids: list[int] = asked.value.args[0]
    return ids


def assert_prompts_are_the_processors(engine: Engine, image: InputImage, processor: Any) -> None:
    spelled = {
        InputKind.NONE: "",
        InputKind.SENTENCE: "A t-shirt, two cafés.",
        InputKind.CLASSES: "t-shirt<and>café",
        InputKind.EXPRESSIONS: "the café",
        InputKind.REGIONS: "<loc_0><loc_500><loc_498><loc_999>",
    }
    inputs = {
        InputKind.NONE: {},
        InputKind.SENTENCE: {"phrase": "A t-shirt, two cafés."},
        InputKind.CLASSES: {"phrase": "t-shirt, café"},
        InputKind.EXPRESSIONS: {"phrase": "the café"},
        InputKind.REGIONS: {"regions": [[0, 256, 255.3, 512]]},
    }
    for task in map(get_task, sorted(TASK_TOKENS)):
        expected = processor(text=task.id + spelled[task.input_kind], images=image.pixels)["input_ids"][0]
        ids = ids_put(engine, image, Question(task.id, **inputs[task.input_kind]))
        assert ids == [id_ for id_ in expected if id_ != processor.image_token_id], task.id


def test_the_prompts_of_all_tasks_are_the_processors(engine: Engine, image: InputImage, processor: Any) -> None:
    assert_prompts_are_the_processors(engine, image, processor)


@pytest.mark.skeleton
def test_the_prompts_of_all_tasks_are_the_processors_with_the_published_ids(
    skeleton: Path, skeleton_engine: Engine, image: InputImage
) -> None:
    processor = Florence2Processor.from_pretrained(skeleton, backend="pil")
    assert_prompts_are_the_processors(skeleton_engine, image, processor)


# --- What a user may type


@pytest.mark.parametrize(
    ("phrase", "is_told"),
    [
        pytest.param("</s>", True, id="the end"),
        pytest.param("<OCR>", True, id="a task"),
        pytest.param("a <OCR> sign", True, id="a task inside"),
        pytest.param("<loc_5>", True, id="a location"),
        pytest.param("<img src=x onerror=alert(1)>", False, id="markup"),
    ],
)
@pytest.mark.parametrize("task_id", [GROUNDING, CLASSES, EXPRESSIONS])
def test_a_hostile_phrase_is_put_as_text_and_told(
    engine: Engine, processor: Any, image: InputImage, task_id: str, phrase: str, is_told: bool
) -> None:
    special_ids = set(processor.tokenizer.added_tokens_decoder)
    ids = ids_put(engine, image, Question(task_id, phrase))
    assert [id_ for id_ in ids if id_ in special_ids] == [0, 2]
    prediction = predictor_with(engine).predict(image, task_id, phrase=phrase, max_new_tokens=10)
    told = "Names in angle brackets are tokens of the model; yours were put to it as plain text."
    assert (told in prediction.notices) == is_told


@pytest.mark.parametrize("separator", [pytest.param(" ", id="words"), pytest.param("", id="one long word")])
def test_a_phrase_of_2000_words_is_shortened_and_told(engine: Engine, image: InputImage, separator: str) -> None:
    phrase = separator.join(["balloon"] * 2000)
    ids = ids_put(engine, image, Question(GROUNDING, phrase))
    assert engine.max_prompt_tokens * 0.8 < len(ids) - 2 <= engine.max_prompt_tokens
    prediction = predictor_with(engine).predict(image, GROUNDING, phrase=phrase, max_new_tokens=5)
    assert "The text was longer than the model can take; only its beginning was used." in prediction.notices


def test_phrases_that_grounding_ignores_are_left_out_and_told() -> None:
    engine = FakeEngine(f"It{BOX}a car{BOX}the image{BOX}", banned=["it", "the image"])
    predictions = list(predictor_with(engine).run(make_scene(4).image, Question(GROUNDING, "It is a car")))
    assert {region.label for prediction in predictions for region in prediction.regions} == {"a car"}
    assert predictions[-1].notices == (
        "Florence-2 does not ground “It”, “the image”: such words name nothing in particular. Name the thing itself.",
    )


def test_a_cascade_ignores_the_same_phrases() -> None:
    engine = FakeEngine("The image shows a car.", f"The image{BOX}a car{BOX}", banned=["the image"])
    prediction = predictor_with(engine).predict(make_scene(4).image, CASCADE)
    assert [region.label for region in prediction.regions] == ["a car"]
    assert len(prediction.notices) == 1


@pytest.mark.parametrize("task_id", [OD, "<DENSE_REGION_CAPTION>"])
def test_other_tasks_may_use_the_words_that_grounding_ignores(task_id: str) -> None:
    prediction = predictor_with(FakeEngine(f"image{BOX}", banned=["image"])).predict(make_scene(4).image, task_id)
    assert [region.label for region in prediction.regions] == ["image"]
    assert prediction.notices == ()


def test_what_could_not_be_managed_of_a_picture_is_said_first(image: InputImage) -> None:
    noticed = replace(image, notices=("The file has 3 pages; this is the first.",))
    prediction = predictor_with(FakeEngine("car")).predict(noticed, Question(GROUNDING, "a </s> car"))
    first, second = prediction.notices[:2]
    assert first == "The file has 3 pages; this is the first."
    assert second.startswith("Names in angle brackets are tokens")


# --- The end of an answer


def test_an_answer_that_is_cut_says_how_to_see_the_rest(predictor: Predictor, image: InputImage) -> None:
    prediction = predictor.predict(image, OD, max_new_tokens=8)
    assert prediction.is_truncated
    assert len(prediction.regions) == 1
    assert prediction.notices[-1] == (
        "The answer was cut after 8 tokens. Raise the limit under Advanced to see the rest."
    )
    assert not predictor.predict(image, OD).is_truncated


def test_an_answer_longer_than_the_model_can_write_is_not_blamed_on_the_limit() -> None:
    prediction = predictor_with(FakeEngine("")).predict(make_scene(4).image, OD, max_new_tokens=1024)
    assert prediction.notices == ("The answer was cut: it is longer than this model can write.",)


def test_stop_ends_with_what_was_there(predictor: Predictor, image: InputImage) -> None:
    stop = threading.Event()
    predictions = []
    for prediction in predictor.run(image, Question(OD), stop=stop):
        predictions.append(prediction)
        if prediction.regions:
            stop.set()
    final = predictions[-1]
    assert (final.stage, final.is_final) == (RunStage.STOPPED, True)
    assert final.regions[:1] == predictions[-2].regions[:1] != ()
    assert sum(prediction.is_final for prediction in predictions) == 1


def test_stop_asks_no_further_prompt() -> None:
    stop = threading.Event()
    engine = FakeEngine("car", "tree")
    run = predictor_with(engine).run(make_scene(4).image, HALVES, stop=stop)
    for prediction in run:
        if prediction.text == "1. car":
            stop.set()
    assert prediction.stage is RunStage.STOPPED
    assert prediction.is_final
    assert [region.label for region in prediction.regions] == ["car"]


def test_stop_while_waiting_for_the_checkpoint_ends_at_once(image: InputImage) -> None:
    predictions = list(Predictor(NeverReady(FakeEngine())).run(image, Question(OD)))
    assert [(p.stage, p.is_final) for p in predictions] == [(RunStage.WAITING, False), (RunStage.STOPPED, True)]


def test_an_answer_that_takes_too_long_ends_with_what_is_there_and_says_so(
    predictor: Predictor, image: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty, step = Predictor(predictor.engines, run_seconds=0.3), Decoder.step
    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "step", lambda *arguments: (time.sleep(0.06), step(*arguments))[1])
        final = hasty.predict(image, OD)
    assert final.stage is RunStage.STOPPED
    assert final.raw_text
    (*_, said) = final.notices
    assert said.startswith("The answer was ended after 0.3 seconds, the most that one may take here. Ask")
    assert predictor.predict(image, OD).stage is RunStage.DONE


def test_the_id_of_a_task_is_a_question(predictor: Predictor, image: InputImage) -> None:
    *_, final = predictor.run(image, OD)
    assert [final] == [replace(alone, timings=final.timings) for alone in predictor.predict_together([image], OD)]
    with pytest.raises(InputRejected, match="A question has its phrase, its regions and the rest itself"):
        predictor.predict(image, Question(CLASSES), phrase="tree")


@pytest.mark.parametrize("one", ["cat.jpg", b"\x89PNG"])
def test_one_picture_is_not_taken_for_several(predictor: Predictor, one: Any) -> None:
    with pytest.raises(InputRejected, match="Put it into a list"):
        predictor.predict_together(one, OD)


def test_who_loads_a_checkpoint_is_told_why_it_cannot_run() -> None:
    with pytest.raises(CheckpointUnavailable, match="The device 'abacus' is not in this machine"):
        Predictor.load(catalog.BUNDLED, device="abacus", offline=True)
    with pytest.raises(CheckpointUnavailable, match="'no/such/folder' is not a checkpoint"):
        Predictor.load(Path("no/such/folder"), offline=True)


def test_closing_the_stream_frees_the_model(predictor: Predictor, image: InputImage, caption: str) -> None:
    run = predictor.run(image, Question(CAPTION))
    assert any(prediction.text for prediction in run)
    run.close()
    assert predictor.predict(image, CAPTION).text == caption
    assert [thread.name for thread in threading.enumerate()].count("engine-run") <= 1


@pytest.mark.parametrize(
    "broken",
    [pytest.param(EngineFailed("The machine ran out of memory."), id="told"), pytest.param(KeyError("bug"), id="bug")],
)
def test_a_failure_is_an_exception_and_no_prediction_is_final(image: InputImage, broken: Exception) -> None:
    run = predictor_with(FakeEngine("car", broken=broken)).run(image, Question(OD))
    seen = [next(run) for _ in range(3)]
    with pytest.raises(type(broken)):
        next(run)
    assert [prediction.raw_text for prediction in seen] == ["", "", "car"]
    assert not any(prediction.is_final for prediction in seen)


def test_a_bad_question_is_refused_before_anything_runs(predictor: Predictor, image: InputImage) -> None:
    with pytest.raises(InputRejected, match="Mark a region"):
        predictor.run(image, Question(CATEGORY))
    with pytest.raises(InputRejected, match="Type the names of the things to find"):
        predictor.run(image, Question(CLASSES, " ,"))
    with pytest.raises(ImageRejected):
        predictor.run(b"no picture", Question(OD))


# --- The true size


@pytest.mark.skeleton
def test_every_task_runs_at_the_true_size_and_says_that_it_was_cut(skeleton_engine: Engine, image: InputImage) -> None:
    predictor = predictor_with(skeleton_engine)
    for task in TASKS:
        inputs = {"regions": [LEFT_HALF]} if task.input_kind is InputKind.REGIONS else inputs_of(task)
        prediction = predictor.predict(image, task.id, max_new_tokens=2, **inputs)
        assert prediction.is_final, task.id
        assert prediction.notices[-1] == (
            "The answer was cut after 2 tokens. Raise the limit under Advanced to see the rest."
        ), task.id
        assert len(prediction.notices) == 1 + task.covers, task.id
