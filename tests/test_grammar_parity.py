"""Our reading of answers beside the recorded answers of the real weights, and beside transformers' own reading."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers.models.florence2.processing_florence2 import Florence2PostProcessor, Florence2Processor

from playground.grammar import parse
from playground.regions import Region

SIZE = (1000, 1000)  # a bin is a pixel: ours is at its middle, b + 0.5, theirs is cut to b

# As `Florence2Processor.__init__` sets it, under transformers' names.
KINDS = {
    "<OCR>": "pure_text",
    "<CAPTION>": "pure_text",
    "<DETAILED_CAPTION>": "pure_text",
    "<REGION_TO_CATEGORY>": "pure_text",
    "<OCR_WITH_REGION>": "ocr",
    "<OD>": "description_with_bboxes",
    "<CAPTION_TO_PHRASE_GROUNDING>": "phrase_grounding",
    "<REFERRING_EXPRESSION_SEGMENTATION>": "polygons",
    "<OPEN_VOCABULARY_DETECTION>": "description_with_bboxes_or_polygons",
    "<REGION_PROPOSAL>": "bboxes",
}
# As published with the checkpoints.
CONFIG = {
    **{kind: {} for kind in KINDS.values()},
    "phrase_grounding": {"banned_grounding_tokens": ["it", "image", "the image", "someone", "a group"]},
}
PROCESSOR = SimpleNamespace(
    tasks_answer_post_processing_type=KINDS,
    post_processor=Florence2PostProcessor(CONFIG, SimpleNamespace(all_special_tokens=["<s>", "</s>", "<pad>"])),
)

BOX_1, BOX_2 = "<loc_1><loc_2><loc_3><loc_4>", "<loc_10><loc_20><loc_30><loc_40>"
QUAD_1 = "<loc_10><loc_10><loc_20><loc_11><loc_20><loc_15><loc_10><loc_14>"
TRIANGLE_1 = "<loc_1><loc_1><loc_9><loc_1><loc_5><loc_9>"
TRIANGLE_2 = "<loc_21><loc_1><loc_29><loc_1><loc_25><loc_9>"


def theirs(task: str, answer: str, resolution_wh: tuple[int, int] = SIZE) -> Any:
    """Return transformers' reading: a text, or a dict of columns."""
    return Florence2Processor.post_process_generation(PROCESSOR, text=answer, task=task, image_size=resolution_wh)[task]


def ours(task: str, answer: str, resolution_wh: tuple[int, int] = SIZE) -> Any:
    """Return our reading in transformers' words, with their whole pixels."""
    read = parse(answer, task, resolution_wh)
    boxes = [region for region in read.regions if not region.polygons]
    outlines = [region for region in read.regions if region.polygons]
    match KINDS[task]:
        case "pure_text":
            return read.text
        case "ocr":
            return {"quad_boxes": [_whole(r.xyxyxyxy or ()) for r in read.regions], "labels": _labels(read.regions)}
        case "polygons":
            return {"polygons": [_parts(region) for region in outlines], "labels": _labels(outlines)}
        case "description_with_bboxes_or_polygons":
            return {
                "bboxes": [_whole(region.xyxy) for region in boxes],
                "bboxes_labels": _labels(boxes),
                "polygons": [_parts(region) for region in outlines],
                "polygons_labels": _labels(outlines),
            }
    return {"bboxes": [_whole(region.xyxy) for region in boxes], "labels": _labels(boxes)}


def _whole(coordinates: tuple[float, ...]) -> list[int]:
    return [int(coordinate) for coordinate in coordinates]


def _labels(regions: list[Region] | tuple[Region, ...]) -> list[str]:
    return [region.label for region in regions]


def _parts(region: Region) -> list[list[int]]:
    return [_whole(tuple(value for point in polygon for value in point)) for polygon in region.polygons]


# ------------------------------------------------------------------------------------------- what the weights said

PUBLISHED = json.loads((Path(__file__).parent / "data" / "published-answers.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in PUBLISHED if "boxes" in case])
def test_the_published_boxes_are_read(case: dict[str, Any]) -> None:
    regions = parse(case["text"], case["task"], tuple(case["size"])).regions
    assert [_whole(region.xyxy) for region in regions] == case["boxes"]
    assert _labels(regions) == (case["labels"] or [""] * len(case["boxes"]))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in PUBLISHED if "answer" in case])
def test_the_published_texts_are_read(case: dict[str, Any]) -> None:
    assert parse(case["text"], case["task"], tuple(case["size"])).text == case["answer"]


# -------------------------------------------------------------------------------------- where transformers is right


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in PUBLISHED])
def test_we_agree_with_transformers_on_published_answers(case: dict[str, Any]) -> None:
    text = case["text"].replace("<pad>", "")
    assert ours(case["task"], text, tuple(case["size"])) == theirs(case["task"], text, tuple(case["size"]))


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        pytest.param("<CAPTION>", "</s><s>A red car.</s>", id="caption"),
        pytest.param("<OCR>", "</s><s>STOP\nALL WAY 停</s>", id="text with line breaks"),
        pytest.param("<REGION_TO_CATEGORY>", "turquoise car</s>", id="category without its box"),
        pytest.param("<OD>", "</s><s></s>", id="nothing found"),
        pytest.param("<OD>", f"</s><s>car{BOX_1}door handle{BOX_2}</s><pad>", id="boxes"),
        pytest.param("<OD>", f"wheel{BOX_1}{BOX_2}", id="two boxes for one label"),
        pytest.param("<OD>", f"wheels{BOX_1}wheels{BOX_2}", id="label repeated"),
        pytest.param("<OD>", f"t-shirt{BOX_1}", id="hyphen"),
        pytest.param("<OD>", f"car{BOX_1}dog<loc_1><loc_2><loc_3>", id="last box cut"),
        pytest.param("<OD>", f"car{BOX_1}<loc_5><loc_6>dog{BOX_2}", id="box cut short by text"),
        pytest.param("<OD>", "no boxes here", id="prose"),
        pytest.param("<CAPTION_TO_PHRASE_GROUNDING>", f"A tree{BOX_1}two boats{BOX_1}{BOX_2}", id="grounding"),
        pytest.param("<REGION_PROPOSAL>", f"</s><s>{BOX_1}{BOX_2}<loc_1></s>", id="bare boxes"),
        pytest.param("<OCR_WITH_REGION>", f"</s><s>STOP{QUAD_1}停 車{QUAD_1}</s>", id="quads"),
        pytest.param("<OCR_WITH_REGION>", f"STOP{QUAD_1}ALL{QUAD_1[:-8]}", id="last quad cut"),
        pytest.param("<REFERRING_EXPRESSION_SEGMENTATION>", f"</s><s>{TRIANGLE_1}</s>", id="one outline"),
        pytest.param("<REFERRING_EXPRESSION_SEGMENTATION>", f"{TRIANGLE_1}<loc_7>", id="odd last coordinate"),
        pytest.param("<REFERRING_EXPRESSION_SEGMENTATION>", f"{TRIANGLE_1}<sep>{TRIANGLE_2}", id="two parts"),
        pytest.param(
            "<REFERRING_EXPRESSION_SEGMENTATION>",
            f"<poly>{TRIANGLE_1}<sep>{TRIANGLE_2}</poly><poly>{TRIANGLE_2}</poly>",
            id="two objects",
        ),
        pytest.param("<OPEN_VOCABULARY_DETECTION>", f"cat{BOX_1}dog{BOX_1}{BOX_2}", id="open vocabulary, boxes"),
        pytest.param(
            "<OPEN_VOCABULARY_DETECTION>",
            f"cat<poly>{TRIANGLE_1}</poly><poly>{TRIANGLE_2}<sep>{TRIANGLE_1}</poly>dog<poly>{TRIANGLE_1}</poly>",
            id="open vocabulary, outlines",
        ),
    ],
)
def test_we_agree_with_transformers(task: str, answer: str) -> None:
    assert ours(task, answer) == theirs(task, answer)


# -------------------------------------------------------------------------------------------------- where we differ


def boxes(**label_to_box: list[int]) -> dict[str, list[Any]]:
    return {"bboxes": list(label_to_box.values()), "labels": list(label_to_box)}


@pytest.mark.parametrize(
    ("task", "answer", "in_ours", "in_theirs"),
    [
        pytest.param(
            "<OD>", f"café 中{BOX_1}", boxes(**{"café 中": [1, 2, 3, 4]}), boxes(**{"caf ": [1, 2, 3, 4]}),
            id="they drop every letter beyond ASCII from a label",
        ),
        pytest.param(
            "<OD>", f"a < b{BOX_1}", boxes(**{"a < b": [1, 2, 3, 4]}), boxes(b=[1, 2, 3, 4]),
            id="they cut a label at its last less-than sign",
        ),
        pytest.param(
            "<OD>", "car<loc_3><loc_4><loc_1><loc_2>", boxes(car=[1, 2, 3, 4]), boxes(car=[3, 4, 1, 2]),
            id="they pass inverted boxes on",
        ),
        pytest.param(
            "<OD>", f"{BOX_1}car{BOX_2}",
            {"bboxes": [[1, 2, 3, 4], [10, 20, 30, 40]], "labels": ["", "car"]},
            boxes(**{"loc_4>car": [10, 20, 30, 40]}),
            id="they lose a box without a label, and put half its last location into the next label",
        ),
        pytest.param(
            "<OD>", f"car<loc_7><loc_7>dog{BOX_1}", boxes(dog=[1, 2, 3, 4]), boxes(**{"loc_7>dog": [1, 2, 3, 4]}),
            id="they put half the last location of a cut first box into the next label",
        ),
        pytest.param(
            "<OD>", f"car{BOX_1} {BOX_2}",
            {"bboxes": [[1, 2, 3, 4], [10, 20, 30, 40]], "labels": ["car", "car"]},
            {"bboxes": [[1, 2, 3, 4], [10, 20, 30, 40]], "labels": ["car", ""]},
            id="they take white space between two boxes for a label",
        ),
        pytest.param(
            "<OD>", "car<loc_1> <loc_2><loc_3><loc_4>", boxes(car=[1, 2, 3, 4]), boxes(),
            id="they lose a box with white space in it",
        ),
        pytest.param(
            "<OD>", "car<loc_1000><loc_2><loc_3><loc_4><loc_5>", boxes(**{"car<loc_1000>": [2, 3, 4, 5]}),
            boxes(car=[1000, 2, 3, 4]),
            id="they read a location token that does not exist",
        ),
        pytest.param(
            "<CAPTION_TO_PHRASE_GROUNDING>", f"someone{BOX_1}", boxes(someone=[1, 2, 3, 4]), boxes(),
            id="they drop a list of phrases, which are located all the same",
        ),
        pytest.param(
            "<REGION_PROPOSAL>", f"car{BOX_1}", boxes(car=[1, 2, 3, 4]), boxes(**{"": [1, 2, 3, 4]}),
            id="they drop the label of a box that should have none",
        ),
        pytest.param(
            "<CAPTION>", "A car.</s><pad>", "A car.", "A car.<pad>",
            id="they keep padding in a caption",
        ),
        pytest.param(
            "<REGION_TO_CATEGORY>", f"turquoise car{BOX_1}", "turquoise car", f"turquoise car{BOX_1}",
            id="they keep the box of a category in its text",
        ),
        pytest.param(
            "<OCR_WITH_REGION>", f"{QUAD_1}STOP{QUAD_1}",
            {"quad_boxes": [[10, 10, 20, 11, 20, 15, 10, 14]] * 2, "labels": ["", "STOP"]},
            {"quad_boxes": [[10, 10, 20, 11, 20, 15, 10, 14]], "labels": [f"{QUAD_1}STOP"]},
            id="they put a quad without text into the next one's text",
        ),
        pytest.param(
            "<OCR_WITH_REGION>", f"ALL<loc_1><loc_2>STOP{QUAD_1}",
            {"quad_boxes": [[10, 10, 20, 11, 20, 15, 10, 14]], "labels": ["STOP"]},
            {"quad_boxes": [[10, 10, 20, 11, 20, 15, 10, 14]], "labels": ["ALL<loc_1><loc_2>STOP"]},
            id="they put a cut quad into the next one's text",
        ),
        pytest.param(
            "<OCR_WITH_REGION>", f"ALL\nWAY{QUAD_1}",
            {"quad_boxes": [[10, 10, 20, 11, 20, 15, 10, 14]], "labels": ["ALL\nWAY"]},
            {"quad_boxes": [[10, 10, 20, 11, 20, 15, 10, 14]], "labels": ["WAY"]},
            id="they keep the last line of a text only",
        ),
        pytest.param(
            "<REFERRING_EXPRESSION_SEGMENTATION>", "<loc_1><loc_1><loc_9><loc_1>",
            {"polygons": [], "labels": []}, {"polygons": [[[1, 1, 9, 1]]], "labels": [""]},
            id="they pass outlines of two points on",
        ),
        pytest.param(
            "<REFERRING_EXPRESSION_SEGMENTATION>", f"car{TRIANGLE_1}",
            {"polygons": [[[1, 1, 9, 1, 5, 9]]], "labels": ["car"]},
            {"polygons": [[[1, 1, 9, 1, 5, 9]]], "labels": [""]},
            id="they drop the label of an outline",
        ),
        pytest.param(
            "<REFERRING_EXPRESSION_SEGMENTATION>", f"<poly>{TRIANGLE_1}</poly><poly>{TRIANGLE_2}",
            {"polygons": [[[1, 1, 9, 1, 5, 9]], [[21, 1, 29, 1, 25, 9]]], "labels": ["", ""]},
            {"polygons": [[[1, 1, 9, 1, 5, 9]]], "labels": [""]},
            id="they lose the outline that was being written when the answer was cut",
        ),
        pytest.param(
            "<OPEN_VOCABULARY_DETECTION>", f"dog{BOX_1}cat<poly>{TRIANGLE_1}</poly>",
            {"bboxes": [[1, 2, 3, 4]], "bboxes_labels": ["dog"],
             "polygons": [[[1, 1, 9, 1, 5, 9]]], "polygons_labels": ["cat"]},
            {"bboxes": [], "bboxes_labels": [],
             "polygons": [[[1, 2, 3, 4]], [[1, 1, 9, 1, 5, 9]]], "polygons_labels": ["dog", "cat"]},
            id="they read the boxes beside an outline as outlines",
        ),
    ],
)  # fmt: skip
def test_where_we_differ_from_transformers(task: str, answer: str, in_ours: object, in_theirs: object) -> None:
    assert ours(task, answer) == in_ours
    assert theirs(task, answer) == in_theirs


def test_transformers_cuts_coordinates_to_whole_pixels_and_we_do_not() -> None:
    assert theirs("<OD>", "car" + BOX_2, (640, 480))["bboxes"] == [[6, 9, 19, 19]]
    (region,) = parse("car" + BOX_2, "<OD>", (640, 480)).regions
    assert region.xyxy == pytest.approx((6.72, 9.84, 19.52, 19.44))
