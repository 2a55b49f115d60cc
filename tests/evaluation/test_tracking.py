"""Things that move: how well they keep their numbers, and how that is counted."""

import math

import pytest

from playground.checkpoints.catalog import BUNDLED
from playground.evaluation.identities import Placed, compare
from playground.evaluation.tracking import measure_tracking
from playground.question import Question
from playground.regions import Region
from playground.scenes.moving import make_moving_scene
from playground.scenes.scene import TRAINING_SEEDS
from playground.tracking import Tracker

_A, _B = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)


def test_a_switch_of_identity_is_counted_and_costs_what_it_should() -> None:
    truth = [[Placed(1, _A), Placed(2, _B)]] * 4
    kept = compare(truth, [[Placed(7, _A), Placed(8, _B)]] * 4)
    assert (kept.idf1, kept.switches) == (1.0, 0)
    switched = compare(truth, [[Placed(7, _A), Placed(8, _B)]] * 3 + [[Placed(8, _A), Placed(7, _B)]])
    assert (switched.idf1, switched.switches) == (0.75, 2)
    half = compare(truth, [[Placed(7, _A)], [Placed(7, _A)], [], []])
    assert (half.num_right, half.num_wrong, half.num_missed) == (2, 0, 6)
    hidden = compare([[Placed(1, _A, 0.3)]], [[Placed(7, _A)]])
    assert math.isnan(hidden.idf1), "what is hardly seen is not counted"


@pytest.mark.parametrize(("step", "speed"), [(0.1, 90), (0.5, 90), (1.0, 50)])
def test_things_that_pass_each_other_keep_their_numbers_at_any_step(step: float, speed: float) -> None:
    tracker, numbers = Tracker(), []
    for seconds in [number * step for number in range(round(4 / step))]:
        right = speed * seconds
        boxes = [(20.0 + right, 100.0, 80.0 + right, 160.0), (400.0 - right, 120.0, 460.0 - right, 180.0)]
        regions = [Region("car", box, 0.9) for box in boxes]
        numbers.append(tracker.follow(regions, seconds, (480, 300), [True, True]))
    assert numbers == [[1, 2]] * len(numbers)


def test_what_is_less_sure_goes_on_with_a_track_and_begins_none() -> None:
    tracker, region = Tracker(), Region("car", (10.0, 10.0, 60.0, 60.0), 0.1)
    assert tracker.follow([region], 0.0, (100, 100), [False]) == [None]
    assert tracker.follow([region], 1.0, (100, 100), [True]) == [1]
    assert tracker.follow([region], 2.0, (100, 100), [False]) == [1]
    for seconds in (3.0, 4.0, 5.0):
        assert tracker.follow([], seconds, (100, 100), []) == []
    assert tracker.follow([region], 6.0, (100, 100), [True]) == [2], "it was out of sight for too long"


def test_what_is_true_of_a_moving_scene_is_what_can_be_seen() -> None:
    scene = make_moving_scene(TRAINING_SEEDS, seconds=20)
    seen = [scene.truth_at(number / 2) for number in range(40)]
    assert {thing.number for moment in seen for thing in moment} == {1, 2, 3, 4, 5}
    for moment in seen:
        for thing in moment:
            x_min, y_min, x_max, y_max = thing.region.xyxy
            assert 0 <= x_min < x_max <= 512
            assert 0 <= y_min < y_max <= 512
            assert 0 < thing.visible <= 1
    assert scene.picture_at(7.0).tobytes() == make_moving_scene(TRAINING_SEEDS, seconds=20).picture_at(7.0).tobytes()


def test_the_bundled_model_and_the_job_keep_the_numbers_of_a_made_film(predictor, tmp_path) -> None:
    measured = measure_tracking(
        predictor, Question("<OD>", checkpoint=BUNDLED), tmp_path,
        seed=TRAINING_SEEDS + 1, seconds=10, every=1, things=4, shown_from=0.2,
    )  # fmt: skip
    assert measured["frames"] == 10
    assert measured["right"] > 10
    assert measured["idf1"] >= 0.9, measured
