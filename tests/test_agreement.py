"""How far two answers agree: by place, and word by word."""

import pytest

from playground.agreement import Pair, compare_regions, compare_words, share_of_words
from playground.regions import Region

CAR, TREE = Region("car", (0, 0, 100, 100)), Region("tree", (200, 0, 300, 100))
NEAR_CAR, FAR_CAR = Region("car", (10, 0, 110, 100)), Region("car", (60, 0, 160, 100))
AUTO, LINE = Region("auto", (0, 0, 100, 100)), Region("line", (5, 5, 5, 90))


@pytest.mark.parametrize(
    ("left", "right", "pairs", "only_left", "only_right"),
    [
        pytest.param([], [], [], (), (), id="nothing on either side"),
        pytest.param([CAR], [], [], (0,), (), id="nothing right"),
        pytest.param([], [CAR, TREE], [], (), (0, 1), id="nothing left"),
        pytest.param([CAR, TREE], [TREE, CAR], [(0, 1), (1, 0)], (), (), id="in another order"),
        pytest.param([CAR], [FAR_CAR], [], (0,), (0,), id="too far apart"),
        pytest.param([CAR], [NEAR_CAR, CAR], [(0, 1)], (), (0,), id="the best fit of two"),
        pytest.param([CAR, CAR], [NEAR_CAR], [(0, 0)], (1,), (), id="one for one"),
        pytest.param([CAR, AUTO], [AUTO, CAR], [(0, 1), (1, 0)], (), (), id="of equal fits those of one name"),
        pytest.param([LINE], [LINE], [], (0,), (0,), id="no area"),
    ],
)
def test_regions_are_paired_by_place(
    left: list[Region],
    right: list[Region],
    pairs: list[tuple[int, int]],
    only_left: tuple[int, ...],
    only_right: tuple[int, ...],
) -> None:
    agreement = compare_regions(left, right)
    assert [(pair.left, pair.right) for pair in agreement.pairs] == pairs
    assert (agreement.only_left, agreement.only_right) == (only_left, only_right)


def test_agreement_is_told_in_numbers() -> None:
    agreement = compare_regions([CAR, TREE], [AUTO, Region("tree", (200, 0, 300, 80))])
    assert agreement.pairs == (Pair(0, 0, 1.0, False), Pair(1, 1, 0.8, True))
    assert (agreement.mean_iou, agreement.num_renamed) == (pytest.approx(0.9), 1)
    assert compare_regions([CAR], [TREE]).mean_iou is None


@pytest.mark.parametrize(
    ("left", "right", "only_left", "only_right", "share"),
    [
        pytest.param("", "", [], [], None, id="nothing"),
        pytest.param("A red car.", "a red, car", [], [], 1.0, id="the same but for case and commas"),
        pytest.param("a red car", "a blue car", ["red "], ["blue "], 4 / 6, id="another word"),
        pytest.param("a car", "", ["a car"], [], 0.0, id="one side only"),
        pytest.param("house\ntree", "house tree sun", [], ["sun"], 4 / 5, id="lines"),
    ],
)
def test_texts_are_compared_word_by_word(
    left: str, right: str, only_left: list[str], only_right: list[str], share: float | None
) -> None:
    pieces = compare_words(left, right)
    assert ["".join(piece.text for piece in side) for side in pieces] == [left, right]
    assert [[piece.text for piece in side if not piece.is_shared] for side in pieces] == [only_left, only_right]
    assert share_of_words(left, right) == (None if share is None else pytest.approx(share))
