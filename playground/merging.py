"""Of regions that lie on one another, which stay: supervision finds them. Knows no question and no answer."""

from collections.abc import Sequence

import numpy as np

from playground.regions import Region

# From which overlap on two regions are taken for one thing: as a share of what both cover together (IoU), or of the
# smaller one (IoS), which a thing inside another reaches too.
_SAME_THING = {"iou": 0.7, "ios": 0.8}


def without_duplicates(regions: Sequence[Region], merge: str) -> list[Region]:
    """Return the regions without those that lie on a surer one, whatever it is called.

    `merge` is "iou" or "ios". What has no score, or a person has corrected, stays.
    """
    judged = [region for region in regions if region.score is not None and region.source == "model"]
    if not judged:
        return list(regions)
    import supervision as sv

    boxes_and_scores = np.array([[*region.xyxy, region.score] for region in judged], dtype=np.float64)
    kept = sv.box_non_max_suppression(boxes_and_scores, _SAME_THING[merge], sv.OverlapMetric.from_value(merge))
    gone = {id(region) for region, is_kept in zip(judged, kept, strict=True) if not is_kept}
    return [region for region in regions if id(region) not in gone]
