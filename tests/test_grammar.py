import math
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playground.errors import UnknownTask
from playground.events import Token
from playground.grammar import (
    SPECIAL_TOKENS,
    Answer,
    Parser,
    neutralize,
    parse,
    region_score,
    render,
    render_region,
    summarize,
    tokenize,
)
from playground.locations import location_token
from playground.regions import Region
from playground.tasks import TASKS, OutputKind

SIZE = (1000, 2000)  # a bin is 1 x 2 pixels, so bin b is at x = b + 0.5 and at y = 2 b + 1

TASK_OF = {
    OutputKind.TEXT: "<CAPTION>",
    OutputKind.TEXT_WITH_BOX: "<REGION_TO_CATEGORY>",
    OutputKind.LABELED_BOXES: "<OD>",
    OutputKind.BOXES: "<REGION_PROPOSAL>",
    OutputKind.QUADS: "<OCR_WITH_REGION>",
    OutputKind.POLYGONS: "<REGION_TO_SEGMENTATION>",
    OutputKind.BOXES_OR_POLYGONS: "<OPEN_VOCABULARY_DETECTION>",
}

BOX_1, BOX_2 = "<loc_1><loc_2><loc_3><loc_4>", "<loc_10><loc_20><loc_30><loc_40>"
XYXY_1, XYXY_2 = (1.5, 5.0, 3.5, 9.0), (10.5, 41.0, 30.5, 81.0)
QUAD_1 = "<loc_10><loc_10><loc_20><loc_11><loc_20><loc_15><loc_10><loc_14>"
QUAD_2 = "<loc_50><loc_10><loc_60><loc_10><loc_60><loc_15><loc_50><loc_15>"
CORNERS_1 = (10.5, 21.0, 20.5, 23.0, 20.5, 31.0, 10.5, 29.0)
TRIANGLE_1 = "<loc_1><loc_1><loc_9><loc_1><loc_5><loc_9>"
TRIANGLE_2 = "<loc_21><loc_1><loc_29><loc_1><loc_25><loc_9>"
POINTS_1 = ((1.5, 3.0), (9.5, 3.0), (5.5, 19.0))
POINTS_2 = ((21.5, 3.0), (29.5, 3.0), (25.5, 19.0))


def special(text: str, mass: float | None = None) -> Token:
    return Token(-1, text, bin_probability=mass, is_special=True)


def characters(answer: str) -> list[Token]:
    """Split an answer as finely as a tokenizer may: special tokens, and text letter by letter."""
    return [
        Token(-1, piece, is_special=token.is_special)
        for token in tokenize(answer)
        for piece in ([token.text] if token.is_special else token.text)
    ]


def read(kind: OutputKind, tokens: list[Token]) -> Answer:
    parser = Parser(kind, SIZE)
    for token in tokens:
        parser.feed(token)
    return parser.finish()


# ---------------------------------------------------------------------------------------------------------- boxes


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("</s><s></s><pad><pad>", [], id="control tokens only"),
        pytest.param("no boxes here", [], id="prose"),
        pytest.param("</s><s><s>car" + BOX_1 + "</s><pad>", [("car", XYXY_1)], id="one box"),
        pytest.param("wheel" + BOX_1 + BOX_2, [("wheel", XYXY_1), ("wheel", XYXY_2)], id="two boxes for one label"),
        pytest.param(f"wheels{BOX_1}wheels{BOX_2}", [("wheels", XYXY_1), ("wheels", XYXY_2)], id="label repeated"),
        pytest.param(f"wheel{BOX_1}  \n{BOX_2}", [("wheel", XYXY_1), ("wheel", XYXY_2)], id="white space between"),
        pytest.param(f"car{BOX_1}dog{BOX_2}", [("car", XYXY_1), ("dog", XYXY_2)], id="two labels"),
        pytest.param(BOX_1 + "dog" + BOX_2, [("", XYXY_1), ("dog", XYXY_2)], id="box without a label"),
        pytest.param("car<loc_1><loc_2><loc_3>", [], id="three of four corners"),
        pytest.param(f"car{BOX_1}<loc_5><loc_6>", [("car", XYXY_1)], id="last box cut"),
        pytest.param("car<loc_7><loc_7>dog" + BOX_1, [("dog", XYXY_1)], id="box cut short by text"),
        pytest.param("car<loc_7><loc_7><sep>" + BOX_1, [("car", XYXY_1)], id="box cut short by a separator"),
        pytest.param("car<loc_1><loc_2> <pad><loc_3><loc_4>", [("car", XYXY_1)], id="white space in a box"),
        pytest.param("car<loc_3><loc_4><loc_1><loc_2>", [("car", XYXY_1)], id="inverted corners"),
        pytest.param("dot" + "<loc_7>" * 4, [("dot", (7.5, 15.0, 7.5, 15.0))], id="a point"),
        pytest.param("a" + "<loc_0>" * 2 + "<loc_999>" * 2, [("a", (0.5, 1.0, 999.5, 1999.0))], id="whole picture"),
        pytest.param("t-shirt" + BOX_1, [("t-shirt", XYXY_1)], id="hyphen"),
        pytest.param("café 中文 🙂" + BOX_1, [("café 中文 🙂", XYXY_1)], id="other scripts"),
        pytest.param("a < b <c> I <3 you" + BOX_1, [("a < b <c> I <3 you", XYXY_1)], id="less-than signs"),
        pytest.param("<loc_1000>" + BOX_1, [("<loc_1000>", XYXY_1)], id="location that does not exist"),
        pytest.param(" \n car \t" + BOX_1, [("car", XYXY_1)], id="white space round a label"),
        pytest.param("cat<and>dog" + BOX_1, [("cat, dog", XYXY_1)], id="and joins"),
        pytest.param("<and>cat<and>" + BOX_1, [("cat", XYXY_1)], id="and joins nothing at the ends"),
        pytest.param(f"cat{BOX_1}<and>dog{BOX_2}", [("cat", XYXY_1), ("dog", XYXY_2)], id="and between boxes"),
        pytest.param(f"car<poly>{BOX_1}</poly>", [("car", XYXY_1)], id="no polygons in this kind"),
    ],
)
def test_labeled_boxes(answer: str, expected: list[tuple[str, tuple[float, ...]]]) -> None:
    assert [(r.label, r.xyxy) for r in parse(answer, "<OD>", SIZE).regions] == expected


def test_bare_boxes_have_no_label() -> None:
    regions = parse("</s><s>" + BOX_1 + BOX_2 + "<loc_5></s>", "<REGION_PROPOSAL>", SIZE).regions
    assert regions == (Region("", XYXY_1), Region("", XYXY_2))


# ------------------------------------------------------------------------------------------------ text, with a box


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param("</s><s>A red car.</s><pad>", "A red car.", id="caption"),
        pytest.param("STOP\nALL WAY\n", "STOP\nALL WAY", id="line breaks inside are kept"),
        pytest.param("a<loc_5> b", "a b", id="locations are left out"),
        pytest.param("a<sep><poly></poly><unk><mask> b", "a b", id="control tokens are left out"),
        pytest.param("<b>bold</b> <loc_1000>", "<b>bold</b> <loc_1000>", id="what names no token is text"),
        pytest.param("cat<and>dog", "cat, dog", id="and"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_plain_text(answer: str, text: str) -> None:
    assert parse(answer, "<OCR>", SIZE) == Answer(text, ())


@pytest.mark.parametrize(
    ("answer", "text", "regions"),
    [
        pytest.param("turquoise car" + BOX_1, "turquoise car", (Region("turquoise car", XYXY_1),), id="with its box"),
        pytest.param("turquoise car", "turquoise car", (), id="the box is missing"),
        pytest.param("turquoise car<loc_1><loc_2><loc_3>", "turquoise car", (), id="the box is cut"),
        pytest.param(BOX_1, "", (Region("", XYXY_1),), id="the text is missing"),
        pytest.param("", "", (), id="nothing"),
    ],
)
def test_text_with_a_box(answer: str, text: str, regions: tuple[Region, ...]) -> None:
    assert parse(answer, "<REGION_TO_CATEGORY>", SIZE) == Answer(text, regions)


# ---------------------------------------------------------------------------------------------------------- quads


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("</s><s>STOP" + QUAD_1 + "</s>", ["STOP"], id="one"),
        pytest.param(f"STOP{QUAD_1}停{QUAD_2}", ["STOP", "停"], id="two"),
        pytest.param(f"{QUAD_1}STOP{QUAD_2}", ["", "STOP"], id="first without text, the next keeps its own"),
        pytest.param(f"STOP{QUAD_1}{QUAD_2}", ["STOP", ""], id="second without text, a text has one quad"),
        pytest.param(f"A<loc_1><loc_2>STOP{QUAD_2}", ["STOP"], id="first cut short by text"),
        pytest.param("A" + QUAD_1[:-8], [], id="cut at the end"),
        pytest.param(f"two\nlines{QUAD_1}", ["two\nlines"], id="line break in a text"),
        pytest.param(f"</b> x<y{QUAD_1}", ["</b> x<y"], id="less-than signs"),
    ],
)
def test_quads(answer: str, labels: list[str]) -> None:
    assert [region.label for region in parse(answer, "<OCR_WITH_REGION>", SIZE).regions] == labels


def test_a_quad_keeps_its_corners_and_has_their_bounding_box() -> None:
    (region,) = parse("STOP" + QUAD_1, "<OCR_WITH_REGION>", SIZE).regions
    assert region == Region("STOP", (10.5, 21.0, 20.5, 31.0), xyxyxyxy=CORNERS_1)


# ------------------------------------------------------------------------------------------------------- polygons


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("</s><s>" + TRIANGLE_1 + "</s>", [(POINTS_1,)], id="one object"),
        pytest.param(f"{TRIANGLE_1}<sep>{TRIANGLE_2}", [(POINTS_1, POINTS_2)], id="two parts of one object"),
        pytest.param(f"<poly>{TRIANGLE_1}</poly>", [(POINTS_1,)], id="one object, marked"),
        pytest.param(
            f"<poly>{TRIANGLE_1}</poly><poly>{TRIANGLE_2}</poly>", [(POINTS_1,), (POINTS_2,)], id="two objects"
        ),
        pytest.param(f"<poly>{TRIANGLE_1}<poly>{TRIANGLE_2}", [(POINTS_1,), (POINTS_2,)], id="ends are missing"),
        pytest.param(f"{TRIANGLE_1}</poly>{TRIANGLE_2}", [(POINTS_1,), (POINTS_2,)], id="beginnings are missing"),
        pytest.param(f"{TRIANGLE_1}<loc_7>", [(POINTS_1,)], id="odd last coordinate"),
        pytest.param(f"{TRIANGLE_1}<loc_7><sep>{TRIANGLE_2}", [(POINTS_1, POINTS_2)], id="odd before a separator"),
        pytest.param("<loc_1><loc_1><loc_9><loc_1><loc_5>", [], id="two points and a half"),
        pytest.param(f"<loc_1><loc_1><sep>{TRIANGLE_2}", [(POINTS_2,)], id="a part of one point"),
        pytest.param(f"{TRIANGLE_1}<sep><sep></poly><poly></poly>", [(POINTS_1,)], id="separators of nothing"),
        pytest.param("no outline", [], id="prose"),
    ],
)
def test_polygons(answer: str, expected: list[tuple[tuple[tuple[float, float], ...], ...]]) -> None:
    assert [region.polygons for region in parse(answer, "<REGION_TO_SEGMENTATION>", SIZE).regions] == expected


def test_an_outline_has_the_bounding_box_of_all_its_parts() -> None:
    (region,) = parse(f"{TRIANGLE_1}<sep>{TRIANGLE_2}", "<REGION_TO_SEGMENTATION>", SIZE).regions
    assert region == Region("", (1.5, 3.0, 29.5, 19.0), polygons=(POINTS_1, POINTS_2))


CAR_OUTLINE = Region("car", (1.5, 3.0, 9.5, 19.0), polygons=(POINTS_1,))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(f"car{BOX_1}{BOX_2}", [Region("car", XYXY_1), Region("car", XYXY_2)], id="boxes"),
        pytest.param(f"car<poly>{TRIANGLE_1}</poly>", [CAR_OUTLINE], id="polygon"),
        pytest.param(
            f"car<poly>{TRIANGLE_1}</poly><poly>{TRIANGLE_2}</poly>",
            [CAR_OUTLINE, Region("car", (21.5, 3.0, 29.5, 19.0), polygons=(POINTS_2,))],
            id="two objects share a label",
        ),
        pytest.param(
            f"car<poly>{TRIANGLE_1}</poly>dog{BOX_1}", [CAR_OUTLINE, Region("dog", XYXY_1)], id="box after polygon"
        ),
        pytest.param(
            f"dog{BOX_1}car<poly>{TRIANGLE_1}", [Region("dog", XYXY_1), CAR_OUTLINE], id="polygon after box, cut"
        ),
        pytest.param(f"car<loc_7><loc_7><poly>{TRIANGLE_1}", [CAR_OUTLINE], id="polygon after a cut box"),
        pytest.param("The date is 4 May 1961.", [], id="prose"),
    ],
)
def test_boxes_or_polygons(answer: str, expected: list[Region]) -> None:
    assert list(parse(answer, "<OPEN_VOCABULARY_DETECTION>", SIZE).regions) == expected


# --------------------------------------------------------------------------------------------- text of an answer


@pytest.mark.parametrize(
    ("task", "answer", "text"),
    [
        pytest.param(
            "<OD>", f"car{BOX_1}door handle{BOX_1}wheel{BOX_1}{BOX_2}", "car, door handle, 2 × wheel", id="counts"
        ),
        pytest.param("<OD>", f"{BOX_1}car{BOX_1}", "1 region, car", id="one is unlabeled"),
        pytest.param("<REGION_PROPOSAL>", BOX_1 * 3, "3 regions", id="all are unlabeled"),
        pytest.param("<REGION_TO_SEGMENTATION>", TRIANGLE_1, "1 region", id="an outline"),
        pytest.param("<OCR_WITH_REGION>", f"STOP{QUAD_1}{QUAD_1}ALL WAY{QUAD_1}", "STOP\nALL WAY", id="a line each"),
        pytest.param("<CUSTOM>", "</s><s>4 May 1961</s>", "4 May 1961", id="a custom prompt answered in prose"),
        pytest.param("<OD>", "car<loc_1><loc_2>", "car", id="no box is complete"),
        pytest.param("<OD>", f"car{BOX_1}dog<loc_1>", "car", id="the last box is cut"),
        pytest.param("<OD>", "</s><s></s>", "", id="nothing"),
    ],
)
def test_the_text_of_regions_names_and_counts_them(task: str, answer: str, text: str) -> None:
    assert parse(answer, task, SIZE).text == text


def test_nothing_is_summarized_as_nothing() -> None:
    assert summarize([]) == ""


# ------------------------------------------------------------------------------------------------------ streaming

STREAMED = [
    pytest.param(OutputKind.TEXT, "</s><s>A car.\nTwo 中 lines </s><pad>", id="text"),
    pytest.param(OutputKind.TEXT_WITH_BOX, f"turquoise car{BOX_1}</s>", id="text with box"),
    pytest.param(OutputKind.LABELED_BOXES, f"<s>car{BOX_1}{BOX_2}dog<loc_1>cat <and>cow{BOX_1}", id="labeled boxes"),
    pytest.param(OutputKind.BOXES, BOX_1 + BOX_2 + "<loc_1>", id="boxes"),
    pytest.param(OutputKind.QUADS, f"STOP{QUAD_1}{QUAD_2}ALL\nWAY{QUAD_1}", id="quads"),
    pytest.param(OutputKind.POLYGONS, f"<poly>{TRIANGLE_1}<sep>{TRIANGLE_2}</poly><poly>{TRIANGLE_1}", id="polygons"),
    pytest.param(
        OutputKind.BOXES_OR_POLYGONS, f"a{BOX_1}b<poly>{TRIANGLE_1}<sep>{TRIANGLE_2}</poly>c{BOX_2}", id="either"
    ),
]


@pytest.mark.parametrize(("kind", "answer"), STREAMED)
def test_every_prefix_of_a_stream_reads_as_that_prefix_does_as_a_whole(kind: OutputKind, answer: str) -> None:
    parser = Parser(kind, SIZE)
    written = ""
    for token in characters(answer):
        parser.feed(token)
        written += token.text
        assert Answer(parser.text, parser.regions) == parser.finish() == parse(written, TASK_OF[kind], SIZE)
    assert parser.finish() == parse(answer, TASK_OF[kind], SIZE)


@pytest.mark.parametrize(("kind", "answer"), STREAMED)
def test_what_is_complete_stays_as_it_is(kind: OutputKind, answer: str) -> None:
    parser = Parser(kind, SIZE)
    seen: list[tuple[Region, ...]] = [()]
    for token in tokenize(answer):
        parser.feed(token)
        seen.append(parser.regions)
    for before, after in pairwise(seen):
        settled = before[:-1] if before and before[-1].polygons else before
        assert after[: len(settled)] == settled


def test_a_box_is_there_as_soon_as_its_fourth_location_is() -> None:
    parser = Parser(OutputKind.LABELED_BOXES, SIZE)
    counts = []
    for token in tokenize("car" + BOX_1 + BOX_2):
        parser.feed(token)
        counts.append(len(parser.regions))
    assert counts == [0, 0, 0, 0, 1, 1, 1, 1, 2]


def test_an_outline_grows_from_its_third_point_on() -> None:
    parser = Parser(OutputKind.POLYGONS, SIZE)
    points = []
    for token in tokenize("<poly>" + TRIANGLE_1 + "<loc_1><loc_5><sep><loc_7><loc_7></poly>"):
        parser.feed(token)
        points.append([len(polygon) for region in parser.regions for polygon in region.polygons])
    assert points == [[], [], [], [], [], [], [3], [3], [4], [4], [4], [4], [4]]


def test_reading_an_answer_does_not_change_it() -> None:
    parser = Parser(OutputKind.POLYGONS, SIZE)
    for token in tokenize(TRIANGLE_1):
        parser.feed(token)
    assert parser.finish() == parser.finish()
    parser.feed(special("<loc_5>"))
    parser.feed(special("<loc_6>"))
    assert [len(region.polygons[0]) for region in parser.regions] == [4]


def test_a_long_answer_is_read_once() -> None:
    parser = Parser(OutputKind.LABELED_BOXES, SIZE)
    tokens = [token for _ in range(4000) for token in tokenize("car" + BOX_1)]
    start = time.perf_counter()
    for token in tokens:
        parser.feed(token)
    # 20,000 tokens take about 0.1 s; reading all of them again for each would take minutes.
    assert time.perf_counter() - start < 3
    assert len(parser.regions) == 4000


# -------------------------------------------------------------------------------------------- any sequence of tokens


@pytest.mark.parametrize("kind", list(OutputKind))
def test_look_alike_text_of_ordinary_tokens_is_text(kind: OutputKind) -> None:
    ordinary = [Token(5, piece) for piece in ["<poly>", *["<loc_5>"] * 8, "</poly>", "<and>", "</s>"]]
    answer = read(kind, ordinary)
    assert answer == Answer("<poly>" + "<loc_5>" * 8 + "</poly><and></s>", ())


def test_look_alike_text_can_be_a_label() -> None:
    tokens = [Token(5, "<loc_5>"), Token(6, "</s>"), *tokenize(BOX_1)]
    assert [region.label for region in read(OutputKind.LABELED_BOXES, tokens).regions] == ["<loc_5></s>"]


def test_unknown_special_tokens_say_nothing() -> None:
    tokens = [special("<od>"), Token(5, "car"), special("<loc_1000>"), special("<image>"), *tokenize(BOX_1)]
    assert read(OutputKind.LABELED_BOXES, tokens).regions == (Region("car", XYXY_1),)


def test_a_letter_that_spans_tokens_belongs_to_one_label() -> None:
    tokens = [Token(5, "", -0.1), Token(6, "", -0.2), Token(7, "中", -0.3), *[special("<loc_1>", 1.0)] * 4]
    (region,) = read(OutputKind.LABELED_BOXES, tokens).regions
    assert region.label == "中"
    assert region.score == pytest.approx(math.exp(-0.2))


def test_a_letter_that_was_never_completed_does_not_take_the_label_away() -> None:
    tokens = [Token(5, "car"), *tokenize(BOX_1), Token(6, ""), *tokenize(BOX_2)]
    assert [region.label for region in read(OutputKind.LABELED_BOXES, tokens).regions] == ["car", "car"]


ANY_TEXT = st.sampled_from(["", " ", "\n", "car", "é", "中", "\ud83d", "\x00", "<", "<loc_5>", "</s>", "a, b", "×"])
ANY_SPECIAL = st.sampled_from(
    [
        *[location_token(bin_) for bin_ in (0, 1, 2, 500, 998, 999)] * 3,
        "<sep>",
        "<poly>",
        "</poly>",
        "<and>",
        "<s>",
        "</s>",
        "<pad>",
        "<unk>",
        "<mask>",
        "<od>",
        "<loc_1000>",
        "",
        " ",
        "x",
    ]
)
ANY_LOGPROB = st.sampled_from([None, 0.0, -0.5, -50.0, 1e-9, 1e4, math.inf, -math.inf, math.nan])
ANY_TOKEN = st.builds(Token, st.integers(-1, 60000), ANY_TEXT, ANY_LOGPROB) | st.builds(
    Token, st.integers(-1, 60000), ANY_SPECIAL, ANY_LOGPROB, st.none(), st.just(True)
)
QUICK = settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("kind", list(OutputKind))
@QUICK
@given(tokens=st.lists(ANY_TOKEN, max_size=40))
def test_the_parser_never_raises_and_stays_inside_the_picture(kind: OutputKind, tokens: list[Token]) -> None:
    parser = Parser(kind, SIZE)
    for token in tokens:
        parser.feed(token)
        assert isinstance(parser.text, str)
        for region in parser.regions:
            x_min, y_min, x_max, y_max = region.xyxy
            assert 0 < x_min <= x_max < 1000
            assert 0 < y_min <= y_max < 2000
    assert parser.finish() == Answer(parser.text, parser.regions)


@pytest.mark.parametrize("kind", list(OutputKind))
@QUICK
@given(answer=st.lists(ANY_TEXT | ANY_SPECIAL, max_size=40).map("".join))
def test_a_stream_of_letters_reads_as_the_whole_text(kind: OutputKind, answer: str) -> None:
    assert read(kind, characters(answer)) == parse(answer, TASK_OF[kind], SIZE)


# --------------------------------------------------------------------------------------------------------- scores


def test_the_score_is_the_sureness_of_the_label_times_that_of_the_place() -> None:
    label = [Token(5, "tea", math.log(0.9)), Token(6, "cup", math.log(0.4))]
    locations = [special("<loc_1>", mass) for mass in (0.5, 0.5, 1.0, 1.0)]
    assert region_score(label, locations) == pytest.approx(0.6 * 0.75)


@pytest.mark.parametrize(
    ("logprobs", "masses", "score"),
    [
        pytest.param([], [], None, id="no token"),
        pytest.param([-0.5, None], [1.0], None, id="a label token was not measured"),
        pytest.param([0.0], [0.5, None], None, id="a location was not measured"),
        pytest.param([], [0.25, 0.75], 0.5, id="no label"),
        pytest.param([0.0], [], 1.0, id="no place"),
        pytest.param([1e-6], [1.0 + 1e-6], 1.0, id="rounding above certain"),
        pytest.param([-math.inf, -0.1], [1.0], 0.0, id="impossible"),
        pytest.param([math.nan, -0.1], [1.0], None, id="not a number"),
        pytest.param([math.inf], [1.0], None, id="no probability"),
        pytest.param([math.inf, -math.inf], [1.0], None, id="both infinities"),
        pytest.param([0.0], [math.nan], None, id="a mass that is no number"),
    ],
)
def test_a_score_is_measured_or_absent(
    logprobs: list[float | None], masses: list[float | None], score: float | None
) -> None:
    label = [Token(5, "car", logprob) for logprob in logprobs]
    assert region_score(label, [special("<loc_1>", mass) for mass in masses]) == score


def test_a_shared_label_counts_for_each_of_its_boxes() -> None:
    tokens = [
        Token(5, "wheel", math.log(0.5)),
        *[special("<loc_1>", 1.0)] * 4,
        *[special("<loc_2>", 0.5)] * 4,
        Token(6, "car", 0.0),
        *[special("<loc_3>", 1.0)] * 4,
    ]
    scores = [region.score for region in read(OutputKind.LABELED_BOXES, tokens).regions]
    assert scores == pytest.approx([0.5, 0.25, 1.0])


def test_an_outline_is_scored_by_the_points_that_it_keeps() -> None:
    kept, dropped = special("<loc_5>", 0.75), special("<loc_6>", 0.125)
    tokens = [*[dropped] * 3, special("<sep>"), *[kept] * 6, dropped]
    (region,) = read(OutputKind.POLYGONS, tokens).regions
    assert region.score == pytest.approx(0.75)


# ------------------------------------------------------------------------------------------------------ rendering


def outline(label: str, *polygons: tuple[tuple[float, float], ...]) -> Region:
    points = [point for polygon in polygons for point in polygon]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Region(label, (min(xs), min(ys), max(xs), max(ys)), polygons=polygons)


QUAD_REGION = Region("STOP", (10.5, 21.0, 20.5, 31.0), xyxyxyxy=CORNERS_1)


@pytest.mark.parametrize(
    ("kind", "regions", "answer"),
    [
        pytest.param(OutputKind.TEXT, [], "", id="no text"),
        pytest.param(OutputKind.TEXT_WITH_BOX, [Region("red car", XYXY_1)], "red car" + BOX_1, id="text with box"),
        pytest.param(OutputKind.LABELED_BOXES, [], "", id="no boxes"),
        pytest.param(
            OutputKind.LABELED_BOXES,
            [Region("wheel", XYXY_1), Region("wheel", XYXY_2), Region("car", XYXY_1), Region("wheel", XYXY_2)],
            f"wheel{BOX_1}{BOX_2}car{BOX_1}wheel{BOX_2}",
            id="equal labels in a row are written once",
        ),
        pytest.param(
            OutputKind.LABELED_BOXES,
            [Region("", XYXY_1), Region("", XYXY_2), Region("car", XYXY_1)],
            f"{BOX_1}{BOX_2}car{BOX_1}",
            id="unlabeled boxes come first",
        ),
        pytest.param(OutputKind.BOXES, [Region("", XYXY_1), Region("", XYXY_2)], BOX_1 + BOX_2, id="bare boxes"),
        pytest.param(
            OutputKind.QUADS,
            [QUAD_REGION, QUAD_REGION, Region("", QUAD_REGION.xyxy, xyxyxyxy=CORNERS_1)],
            f"STOP{QUAD_1}STOP{QUAD_1}{QUAD_1}",
            id="quads never share a text",
        ),
        pytest.param(OutputKind.POLYGONS, [outline("", POINTS_1)], TRIANGLE_1, id="one outline"),
        pytest.param(
            OutputKind.POLYGONS, [outline("", POINTS_1, POINTS_2)], f"{TRIANGLE_1}<sep>{TRIANGLE_2}", id="two parts"
        ),
        pytest.param(
            OutputKind.POLYGONS,
            [outline("", POINTS_1), outline("", POINTS_2, POINTS_1)],
            f"<poly>{TRIANGLE_1}</poly><poly>{TRIANGLE_2}<sep>{TRIANGLE_1}</poly>",
            id="two outlines",
        ),
        pytest.param(
            OutputKind.BOXES_OR_POLYGONS,
            [Region("car", XYXY_1), outline("car", POINTS_1), outline("dog", POINTS_2), Region("dog", XYXY_2)],
            f"car{BOX_1}<poly>{TRIANGLE_1}</poly>dog<poly>{TRIANGLE_2}</poly>{BOX_2}",
            id="boxes and outlines",
        ),
    ],
)
def test_regions_are_written_as_the_model_writes_them_and_come_back(
    kind: OutputKind, regions: list[Region], answer: str
) -> None:
    assert render(regions, TASK_OF[kind], SIZE) == answer
    assert list(parse(answer, TASK_OF[kind], SIZE).regions) == regions


LABELS = st.text("<>/_ aé中🙂\n\u200b-,0", max_size=8).filter(
    lambda text: text == text.strip() and not any(token.is_special for token in tokenize(text))
)
BINS = st.integers(0, 999)


@st.composite
def answers(draw: st.DrawFn, kind: OutputKind) -> list[Region]:
    """Return regions with their coordinates in the middle of bins, as an answer of this kind can carry them."""
    limit = {OutputKind.TEXT: 0, OutputKind.TEXT_WITH_BOX: 1}.get(kind, 5)
    count = draw(st.integers(0, limit))
    labels = [draw(LABELS) if kind is not OutputKind.BOXES else "" for _ in range(count)]
    if kind is not OutputKind.QUADS:
        labels.sort(key=bool)  # an empty label is only possible before the first one that is not
    return [draw(regions_of(kind, label)) for label in labels]


@st.composite
def regions_of(draw: st.DrawFn, kind: OutputKind, label: str) -> Region:
    point = st.tuples(BINS, BINS).map(lambda xy: (xy[0] + 0.5, 2 * xy[1] + 1.0))
    is_outline = kind is OutputKind.POLYGONS or (kind is OutputKind.BOXES_OR_POLYGONS and draw(st.booleans()))
    polygon = st.lists(point, min_size=3, max_size=5).map(tuple)
    if is_outline:
        return outline(label, *draw(st.lists(polygon, min_size=1, max_size=3)))
    corners = draw(st.lists(point, min_size=4, max_size=4))
    bounds = outline(label, tuple(corners)).xyxy
    quad = tuple(value for corner in corners for value in corner) if kind is OutputKind.QUADS else None
    return Region(label, bounds, xyxyxyxy=quad)


@pytest.mark.parametrize("kind", list(OutputKind))
@QUICK
@given(data=st.data())
def test_what_is_rendered_is_parsed_back(kind: OutputKind, data: st.DataObject) -> None:
    regions = data.draw(answers(kind))
    assert list(parse(render(regions, TASK_OF[kind], SIZE), TASK_OF[kind], SIZE).regions) == regions


@pytest.mark.parametrize(
    ("kind", "regions", "reason"),
    [
        pytest.param(OutputKind.LABELED_BOXES, [Region("a<loc_5>", XYXY_1)], "hold <loc_5>", id="location in a label"),
        pytest.param(OutputKind.QUADS, [Region("</s>", XYXY_1, xyxyxyxy=CORNERS_1)], "hold </s>", id="control token"),
        pytest.param(OutputKind.LABELED_BOXES, [Region("cat<and>dog", XYXY_1)], "hold <and>", id="and in a label"),
        pytest.param(OutputKind.LABELED_BOXES, [Region(" car", XYXY_1)], "white space", id="white space before"),
        pytest.param(OutputKind.LABELED_BOXES, [Region("car\n", XYXY_1)], "white space", id="white space after"),
        pytest.param(OutputKind.LABELED_BOXES, [Region(" ", XYXY_1)], "white space", id="white space only"),
        pytest.param(
            OutputKind.LABELED_BOXES,
            [Region("car", XYXY_1), Region("", XYXY_1)],
            "must not be empty after 'car'",
            id="empty label after another",
        ),
        pytest.param(OutputKind.BOXES, [Region("car", XYXY_1)], "must be empty", id="label of a bare box"),
        pytest.param(OutputKind.QUADS, [Region("STOP", XYXY_1)], "xyxyxyxy must be given", id="no quad"),
        pytest.param(OutputKind.POLYGONS, [Region("", XYXY_1)], "polygons must be given", id="no polygons"),
        pytest.param(OutputKind.TEXT, [Region("car", XYXY_1)], "at most 0 regions, but got 1", id="plain text"),
        pytest.param(OutputKind.TEXT_WITH_BOX, [Region("a", XYXY_1)] * 2, "at most 1 regions", id="two boxes"),
    ],
)
def test_what_would_not_come_back_is_not_rendered(kind: OutputKind, regions: list[Region], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        render(regions, TASK_OF[kind], SIZE)


def test_coordinates_beyond_the_picture_are_rendered_at_its_edge() -> None:
    answer = render([Region("car", (-5.0, 0.0, 1000.0, 9999.0))], "<OD>", SIZE)
    assert answer == "car<loc_0><loc_0><loc_999><loc_999>"


@pytest.mark.parametrize(
    ("xyxy", "prompt"),
    [
        pytest.param((1.2, 4.5, 3.9, 8.0), BOX_1, id="floor"),
        pytest.param((3.9, 8.0, 1.2, 4.5), BOX_1, id="corners are sorted"),
        pytest.param((-9.0, -9.0, 5000.0, 5000.0), "<loc_0><loc_0><loc_999><loc_999>", id="clamped"),
    ],
)
def test_a_region_is_named_by_four_locations(xyxy: tuple[float, float, float, float], prompt: str) -> None:
    assert render_region(xyxy, SIZE) == prompt


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.id)
def test_every_task_reads_and_writes_an_empty_answer(task: object) -> None:
    assert render([], task, SIZE) == ""
    assert parse("</s><s></s>", task, SIZE) == Answer("", ())


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UnknownTask):
        parse("car", "<NOPE>", SIZE)
    with pytest.raises(UnknownTask):
        render([], "<NOPE>", SIZE)


# ----------------------------------------------------------------------------------------------- text into tokens


def test_an_answer_is_split_into_special_tokens_and_text() -> None:
    tokens = tokenize("</s><s>a <b> c<loc_12>< sep><sep>")
    assert [(token.text, token.is_special) for token in tokens] == [
        ("</s>", True),
        ("<s>", True),
        ("a <b> c", False),
        ("<loc_12>", True),
        ("< sep>", False),
        ("<sep>", True),
    ]
    assert {(token.id, token.logprob) for token in tokens} == {(-1, None)}


def test_a_token_after_an_open_bracket_is_found() -> None:
    assert [token.text for token in tokenize("a<<loc_5>>")] == ["a<", "<loc_5>", ">"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a <OCR> sign", "a < OCR> sign", id="task"),
        pytest.param("</s>", "< /s>", id="end"),
        pytest.param("<loc_5><loc_6>", "< loc_5>< loc_6>", id="locations"),
        pytest.param("<<loc_5>>", "<< loc_5>>", id="doubled"),
        pytest.param("cat<and>dog", "cat< and>dog", id="and"),
        pytest.param("I <3 you", "I <3 you", id="heart"),
        pytest.param("a < b > c", "a < b > c", id="comparison"),
        pytest.param("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>", id="markup"),
        pytest.param("< OCR>", "< OCR>", id="broken already"),
        pytest.param("<loc_5", "<loc_5", id="unfinished"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_user_text_cannot_name_a_token(text: str, expected: str) -> None:
    assert neutralize(text) == expected


@pytest.mark.parametrize("token", sorted(SPECIAL_TOKENS)[::50] + [task.id for task in TASKS])
def test_no_token_survives_being_neutralized(token: str) -> None:
    assert not any(part.is_special for part in tokenize(neutralize(token * 2)))
    assert token not in neutralize(f"a {token}")


@QUICK
@given(text=st.lists(ANY_TEXT | ANY_SPECIAL, max_size=12).map("".join))
def test_neutralizing_twice_is_neutralizing_once(text: str) -> None:
    assert neutralize(neutralize(text)) == neutralize(text)
    assert not any(token.is_special for token in tokenize(neutralize(text)))
