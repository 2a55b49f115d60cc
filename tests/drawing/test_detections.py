"""Regions as detections and masks: what supervision and the exports get."""

import math

import numpy as np
import supervision as sv
from supervision.config import ORIENTED_BOX_COORDINATES

from playground.drawing.detections import masks, to_detections
from playground.regions import Region
from tests.drawing.samples import BOX, QUAD, TWO_PARTS, predict


def test_boxes_become_detections_with_the_same_numbers():
    detections = to_detections(predict(BOX, QUAD))
    assert detections.xyxy.tolist() == [[40.0, 60.0, 120.0, 110.0], [50.0, 20.0, 110.0, 60.0]]
    assert detections.xyxy.dtype == np.float32
    assert detections.confidence.tolist() == [0.5, 0.25]
    assert detections.data["class_name"].tolist() == ["car", "STOP"]
    assert detections.mask is None


def test_a_region_without_a_quad_stands_in_with_the_corners_of_its_box():
    corners = to_detections(predict(QUAD, BOX)).data[ORIENTED_BOX_COORDINATES]
    assert corners.tolist() == [
        [[60.0, 20.0], [110.0, 30.0], [100.0, 60.0], [50.0, 50.0]],
        [[40.0, 60.0], [120.0, 60.0], [120.0, 110.0], [40.0, 110.0]],
    ]


def test_confidence_is_absent_where_one_region_was_not_measured():
    assert to_detections(predict(BOX, TWO_PARTS)).confidence is None


def test_a_mask_is_the_union_of_the_parts_of_an_outline():
    mask = np.asarray(to_detections(predict(TWO_PARTS)).mask)
    assert mask.shape == (1, 120, 160)
    assert mask.dtype == bool
    assert mask[0, 30, 30]
    assert mask[0, 25, 90]
    assert not mask[0, 30, 60], "between the parts"
    assert mask[0, 20:41, 20:41].all()
    assert mask.sum() == 21 * 21 + mask[0, :, 60:].sum()


def test_overlapping_parts_do_not_cancel_each_other():
    square = ((20.0, 20.0), (60.0, 20.0), (60.0, 60.0), (20.0, 60.0))
    shifted = tuple((x + 20, y + 20) for x, y in square)
    mask = np.asarray(masks(predict(Region("a", (20.0, 20.0, 80.0, 80.0), polygons=(square, shifted)))))
    assert mask[0, 50, 50]


def test_an_outline_that_crosses_itself_has_no_holes():
    turns = [2 * point * math.tau / 5 for point in range(5)]
    star = tuple((60 + 50 * math.sin(turn), 60 - 50 * math.cos(turn)) for turn in turns)
    mask = np.asarray(masks(predict(Region("star", (10.0, 10.0, 110.0, 110.0), polygons=(star,)))))
    assert mask[0, 60, 60]
    assert not mask[0, 25, 25]


def test_a_box_among_polygons_has_its_box_as_mask():
    masks = np.asarray(to_detections(predict(TWO_PARTS, BOX)).mask)
    assert masks[1, 60:111, 40:121].all()
    assert masks[1].sum() == 51 * 81


def test_supervision_accepts_the_detections():
    detections = to_detections(predict(BOX, BOX, QUAD))
    assert len(detections.with_nms(0.5)) == 2
    assert sv.Detections.merge([detections, sv.Detections.empty()]).class_id.tolist() == detections.class_id.tolist()
