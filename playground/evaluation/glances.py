"""Measure how well a decoder's attention points at the things of held-out scenes, by layers and by kinds of tokens.

    python -m playground.evaluation.glances --count 300

For each region that was found rightly: whether the cell that is looked at most lies in its true box, give or take half
a cell, and how much of the attention to the picture lies inside, beside the share of the picture that the box takes.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from playground.answering import prompts_of
from playground.arguments import whole
from playground.checkpoints import catalog
from playground.engines import Ask
from playground.errors import CheckpointUnavailable
from playground.evaluation import metrics
from playground.events import Attention
from playground.predictor import Predictor
from playground.question import Question, check_question
from playground.regions import Box, Region
from playground.scenes.scene import TRAINING_SEEDS, make_scene

Pointed = tuple[bool, float, float]  # in the box, the share of attention inside, the share of the picture that it takes


def attention_of(predictor: Predictor, seed: int) -> Iterator[tuple[Attention, list[int], list[int], Box]]:
    """Yield for each region that was found rightly the tokens of its name and of its place, and its true box.

    Boxes are in shares of the picture's sides.
    """
    scene = make_scene(seed)
    image = predictor.read_image(scene.image)
    prediction = predictor.predict(image, Question("<OD>"))
    width, height = image.resolution_wh
    with predictor.engines.acquire(prediction.checkpoint) as engine:
        (prompt,) = prompts_of(check_question(prediction.question, image.resolution_wh))
        attention = engine.attention(Ask(image, prompt.filled), prediction.raw_text)
    truth = [Region(thing.kind, thing.region.xyxy) for thing in scene.things]
    for (name, place), region in zip(_tokens_of_regions(attention.texts), prediction.regions, strict=False):
        right = [true for true in truth if metrics.matches([region], [true], 0.5).all()]
        if right and name:
            x0, y0, x1, y1 = right[0].xyxy
            yield attention, name, place, (x0 / width, y0 / height, x1 / width, y1 / height)


def _tokens_of_regions(texts: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
    name: list[int] = []
    place: list[int] = []
    for index, text in enumerate(texts):
        is_place = text.startswith("<loc_")
        if is_place:
            place.append(index)
        elif not text.startswith("<"):
            name.append(index)
        if len(place) == 4:
            yield name, place
            name, place = [], []


def pointing(cells: npt.NDArray[np.float32], box: Box) -> Pointed:
    """Hold the attention over a picture, rows x columns, against a box in shares of its sides."""
    rows, columns = cells.shape
    ys, xs = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    x0, y0, x1, y1 = box
    inside = ((ys >= y0) & (ys <= y1))[:, None] & ((xs >= x0) & (xs <= x1))[None]
    row, column = np.unravel_index(int(cells.argmax()), cells.shape)
    half_row, half_column = 0.5 / rows, 0.5 / columns
    is_hit = y0 - half_row <= ys[row] <= y1 + half_row and x0 - half_column <= xs[column] <= x1 + half_column
    return bool(is_hit), float(cells[inside].sum() / cells.sum()), (x1 - x0) * (y1 - y0)


def measure_pointing(predictor: Predictor, seeds: Sequence[int]) -> dict[tuple[str, str], list[Pointed]]:
    """Return what each kind of token points at with each choice of layers."""
    figures: dict[tuple[str, str], list[Pointed]] = defaultdict(list)
    for seed in seeds:
        for attention, name, place, box in attention_of(predictor, seed):
            num_layers = attention.cells.shape[1]
            for last in range(1, num_layers + 1):
                for kind, tokens in (("name", name), ("first location", place[:1]), ("last location", place[3:])):
                    cells = attention.cells[tokens][:, num_layers - last :].mean((0, 1))
                    figures[kind, f"last {last} of {num_layers}"].append(pointing(cells, box))
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, ask, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m playground.evaluation.glances", description="Measure attention.")
    parser.add_argument("--count", type=whole(1), default=300, help="how many scenes")
    parser.add_argument("--checkpoint", default=catalog.BUNDLED, help="a name of the catalog, or a folder")
    chosen = parser.parse_args(arguments)
    try:
        predictor = Predictor.load(catalog.resolve(chosen.checkpoint).name, offline=True)
    except CheckpointUnavailable as error:
        parser.error(str(error))
    print("| token | layers | regions | most looked at lies inside | attention inside | area of the box |")
    print("|---|---|--:|--:|--:|--:|")
    for (kind, layers), rows in measure_pointing(
        predictor, range(TRAINING_SEEDS, TRAINING_SEEDS + chosen.count)
    ).items():
        hits, inside, area = np.mean(rows, axis=0)
        print(f"| {kind} | {layers} | {len(rows)} | {hits:.3f} | {inside:.3f} | {area:.3f} |")


if __name__ == "__main__":
    main()
