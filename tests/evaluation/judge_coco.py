"""What pycocotools makes of a COCO file and a file of results; run by the Python of `.venv-judges`."""

import contextlib
import json
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

with contextlib.redirect_stdout(sys.stderr):
    truth = COCO(sys.argv[1])
    judge = COCOeval(truth, truth.loadRes(sys.argv[2]), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
precision = judge.eval["precision"][:, :, :, 0, 2]  # bounds of IoU, recalls, classes; all sizes, 100 a picture
by_class = {
    truth.cats[category]["name"]: float(np.mean(precision[:, :, place]))
    for place, category in enumerate(judge.params.catIds)
}
print(json.dumps({"all": judge.stats.tolist(), "by_class": by_class}))
