"""What is exported for the judges: a data set of each kind of answer, with names in many scripts."""

from collections.abc import Iterator
from dataclasses import replace

from playground.export import Annotated
from playground.question import Question
from playground.regions import Region
from playground.results import Prediction
from tests.export.samples import CAR, SECOND_CAR, SIGN, TREE, WHEELS, noise

NAMES = ("名前", "été d'hiver", "улица 2", "सड़क", "IMG_20260711_183012_BURST001_COVER_TOP")
CAPTION = "A red car stands before a tree.\nIt is noon."

THIN = Region("wire", (10.0, 5.0, 10.5, 100.0), polygons=(((10.0, 5.0), (10.5, 5.0), (10.5, 100.0), (10.0, 100.0)),))
LAST_BIN = Region("edge", (159.9, 119.9, 160.0, 120.0), 0.5)
OUTSIDE = Region(
    "far", (-40.0, -40.0, 40.0, 40.0), polygons=(((-40.0, -40.0), (40.0, -40.0), (40.0, 40.0), (-40.0, 40.0)),)
)
TIME = replace(SIGN, label="12:30 & <later>")

_OD, _CAPTION, _OCR = Question("<OD>"), Question("<CAPTION>"), Question("<OCR>")
_NAMED = Question("<OPEN_VOCABULARY_DETECTION>", "tree, car, bird")

# Five answers a case, one for each name.
CASES: dict[str, list[tuple[Question, str, tuple[Region, ...]]]] = {
    "boxes": [(_NAMED, "", (CAR, TREE, SECOND_CAR)), (_NAMED, "", (LAST_BIN,)), *[(_NAMED, "", (TREE, CAR))] * 3],
    "outlines": [(_OD, "", (WHEELS,)), (_OD, "", (THIN, WHEELS)), (_OD, "", (OUTSIDE,)), *[(_OD, "", (THIN,))] * 2],
    "mixed": [(_OD, "", (CAR, WHEELS)), (_OD, "", (CAR,)), (_OD, "", (SIGN, TREE)), (_OD, "", (THIN,)), (_OD, "", ())],
    "quads": [(_OD, "", (SIGN, TIME)), (_OD, "", (SIGN,)), (_OD, "", (TIME, CAR)), *[(_OD, "", (SIGN,))] * 2],
    "captions": [(_CAPTION, CAPTION, ())] * 5,
    "read text": [(_OCR, "STOP\n停", ())] * 5,
    "empty": [(_NAMED, "", ()), (_CAPTION, "", ()), (_OCR, "", ()), (_OD, "", ()), (_OD, "", ())],
    "everything": [
        (_NAMED, "", (CAR, TREE)), (_CAPTION, CAPTION, ()), (_OD, "", (WHEELS, LAST_BIN)), (_OCR, "", ()),
        (Question("<CAPTION>+<CAPTION_TO_PHRASE_GROUNDING>"), CAPTION, (CAR, SIGN)),
    ],
}  # fmt: skip


def regions_of(case: str) -> dict[str, tuple[Region, ...]]:
    """The regions of each picture of a case, by its name."""
    return {name: regions for name, (_, _, regions) in zip(NAMES, CASES[case], strict=True)}


def texts_of(case: str) -> dict[str, str]:
    """The texts that were answered, by the names of their pictures."""
    return {name: text for name, (_, text, _) in zip(NAMES, CASES[case], strict=True) if text}


def annotated(case: str) -> Iterator[Annotated]:
    for seed, (name, (question, text, regions)) in enumerate(zip(NAMES, CASES[case], strict=True)):
        prediction = Prediction(question, "tiny-florence2", (160, 120), text=text, regions=regions, is_final=True)
        yield Annotated(name, prediction, noise(seed))
