"""The report of a measurement: one page that needs nothing beside it, and the same figures as JSON.

Knows no model. The page is `assets/report.html`, filled by Jinja, which escapes whatever a data set says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from playground.datasets.labeled import Labeled
from playground.datasets.reading import LabeledData
from playground.evaluation.asking_data import DataQuestions
from playground.evaluation.data_figures import MeasuredData, to_dict
from playground.evaluation.sheet import draw_worst
from playground.evaluation.what_next import what_next
from playground.paths import ASSETS
from playground.tasks import get_task

_MAX_MATRIX = 15  # classes that a confusion matrix shows
_MAX_FAULTS = 50
_LOWER_IS_BETTER = ("error",)  # in the names of figures


@dataclass(frozen=True, slots=True)
class DataReport:
    """What was measured: `wire` is what JSON carries, `page` the report as HTML."""

    wire: dict[str, Any]
    page: str

    def lines(self) -> list[str]:
        """Return the figures for a terminal."""
        names = [one["checkpoint"] for one in self.wire["checkpoints"]]
        widths = [max(12, len(name)) for name in names]
        lines = [f"{'figure':34} {' '.join(f'{name:>{width}}' for name, width in zip(names, widths, strict=True))}"]
        for row in _rows(self.wire["checkpoints"]):
            values = ["–" if value is None else f"{value:.4f}" for value in row["figures"]]
            cells = " ".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
            lines.append(f"{row['name']:34} {cells}")
        return lines


def make_report(
    data: LabeledData,
    name: str,
    subset: str,
    asks: DataQuestions,
    pictures: Sequence[Labeled],
    measured: Sequence[MeasuredData],
) -> DataReport:
    """Return the report about these pictures of a data set of this name; the worst are read and drawn."""
    faults = [f"{one.name}: {fault}" for one in pictures for fault in one.faults]
    about = {
        "name": name, "kind": data.kind, "subset": "" if subset == "*" else subset, "pictures": len(pictures),
        "notice": data.notice, "classes": list(asks.classes), "num_faults": len(faults), "faults": faults[:_MAX_FAULTS],
    }  # fmt: skip
    wires = [to_dict(one) | {"what_next": what_next(one, asks)} for one in measured]
    wire = {"data": about, "task": _asked(asks, pictures), "checkpoints": wires}
    return DataReport(wire, _page(wire, [draw_worst(data, one.worst) for one in measured]))


def _asked(asks: DataQuestions, pictures: Sequence[Labeled]) -> str:
    """Return which tasks were put to the pictures, by title and token."""
    tasks = {question.task for one in pictures if not one.problem for question in asks.about(one)}
    return ", ".join(f"“{get_task(task).title}” ({task})" for task in sorted(tasks)) or "nothing"


def _page(wire: Mapping[str, Any], images: Sequence[Sequence[str]]) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((ASSETS / "report.html").read_text(encoding="utf-8"))
    style = Markup((ASSETS / "report.css").read_text(encoding="utf-8"))  # our own file
    rows = _rows(wire["checkpoints"])
    return template.render(
        **wire, style=style, images=images, figures=rows, meanings=_meanings(rows), points=_points, matrix=_matrix
    )


def _rows(checkpoints: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the main figures, a row each, of all checkpoints beside one another."""
    columns = [dict(_figures(one)) for one in checkpoints]
    names = dict.fromkeys(name for column in columns for name in column)
    is_fair = len({one["pictures"] for one in checkpoints}) == 1  # else of one that was stopped
    rows = []
    for name in names:
        figures = [column.get(name) for column in columns]
        known = [value for value in figures if value is not None]
        best = min if any(word in name for word in _LOWER_IS_BETTER) else max
        if known:
            rows.append({"name": name, "figures": figures, "best": best(known) if is_fair else None})
    return rows


def _figures(one: Mapping[str, Any]) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    if detection := one["detection"]:
        figures |= {"AP@50": detection["ap_50"], "AP@50:95": detection["ap_50_95"]}
        figures |= {f"AP@50:95, {size} things": ap["ap_50_95"] for size, ap in detection["by_size"].items()}
        best = detection["best_threshold"]
        figures |= {f"{name} at the best score": best[key] for name, key in _AT_BEST.items()}
        figures |= {"mask IoU": detection["mask_iou"]}
        if detection["calibration"]:
            figures["calibration error"] = detection["calibration"]["error"]
    if text := one["text"]:
        figures |= {name: text[key] for name, key in _OF_TEXTS.items()}
    return figures


def _meanings(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what those figures mean that a report shows."""
    shown = " ".join(row["name"] for row in rows)
    return [(name, meaning) for name, meaning in _MEANINGS.items() if name.removeprefix(_SIZES) in shown]


_SIZES = "small, medium and large "
_MEANINGS = {
    "AP@50": "average precision: how much of what is found is right, averaged over how much of what is there is found, "
    "and over the classes. A box is right where it and the true one share half of what they cover together (an IoU of "
    "0.5). 1 is best, 0 worst.",
    "AP@50:95": "the same, averaged over bounds of the IoU from 0.5 to 0.95, so that boxes must be exact as well. The "
    "main figure of COCO.",
    f"{_SIZES}things": "small ones are below 32 x 32 pixels of the picture, large ones from 96 x 96 on.",
    "at the best score": "of what scores at least as much as the lowest score with the highest F1, further down: "
    "precision is the share of it that is right, recall the share of what is there that is in it, F1 the mean of both "
    "that is near the lower one.",
    "mask IoU": "what all outlines of a picture share with the true ones, as a share of what they cover together.",
    "calibration error": "how far scores are, on average, from the share of regions that are right. 0 is best.",
    "exactly right": "the share of answers that are one of the right texts to the letter.",
    "error rate": "letters, or words, that are to be changed, as a share of the nearest right text. 0 is best; above 1 "
    "where an answer is longer than that.",
    "F1 of words": "which words are said, in any order, without articles and punctuation. 1 is best.",
    "BLEU": "which runs of one to four words are those of the right texts. 1 is best; people among themselves are far "
    "from it.",
    "chrF": "the same with runs of letters, which forgives endings.",
}
_AT_BEST = {"precision": "precision", "recall": "recall", "F1": "f1"}
_OF_TEXTS = {
    "exactly right": "exact", "character error rate": "character_errors", "word error rate": "word_errors",
    "F1 of words": "word_f1", "BLEU": "bleu", "chrF": "chrf",
}  # fmt: skip


def _points(curve: Sequence[Mapping[str, Any]], key: str) -> str:
    """Return a curve over the threshold as the points of a polyline, in the axes of the page."""
    known = [(point["threshold"], point[key]) for point in curve if point[key] is not None]
    return " ".join(f"{44 + 400 * x:.1f},{220 - 200 * y:.1f}" for x, y in known)


def _matrix(confusion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a confusion matrix that is shown: of many classes those with most mistakes."""
    names, counts = confusion["classes"], confusion["true_by_found"]
    last = len(names) - 1
    places = list(range(last))
    if is_part := last > _MAX_MATRIX:

        def mistakes(place: int) -> int:
            return int(sum(counts[place]) + sum(row[place] for row in counts) - 2 * counts[place][place])

        places = sorted(sorted(places, key=mistakes, reverse=True)[:_MAX_MATRIX])
    places.append(last)
    rows = []
    for row in places:
        total = max(1, sum(counts[row]))
        cells = [{"count": counts[row][column], "share": round(counts[row][column] / total, 2)} for column in places]
        rows.append({"name": names[row], "cells": cells})
    return {"names": [names[place] for place in places], "rows": rows, "is_part": is_part}
