"""How alike two places of a picture look to the vision tower: the cosine of its features there.

Knows features as numbers in a grid over the picture, no model.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from playground.regions import Box

Grid = npt.NDArray[np.float32]  # rows x columns x width


def likeness(grid: Grid, resolution_wh: tuple[int, int], examples: Sequence[Box], boxes: Sequence[Box]) -> list[float]:
    """Return for each box how much it looks like the example that is most like it, in 0..1.

    What all of the picture has in common, such as its light, says nothing and is taken off.
    """
    cells = grid.reshape(-1, grid.shape[-1]).astype(np.float64)
    cells = cells - cells.mean(axis=0)
    pooled = np.stack([_weights(grid.shape[:2], resolution_wh, box) @ cells for box in (*examples, *boxes)])
    pooled /= np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-9)
    cosines = pooled[len(examples) :] @ pooled[: len(examples)].T
    return [min(1.0, max(0.0, float(row.max()))) for row in cosines]


def _weights(shape: tuple[int, ...], resolution_wh: tuple[int, int], box: Box) -> npt.NDArray[np.float64]:
    """Return the share of a box that lies in each cell, row by row."""
    shares = []
    for low, high, extent, count in zip(box[1::-1], box[:1:-1], resolution_wh[::-1], shape, strict=True):
        edges = np.arange(count + 1) * extent / count
        covered = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
        shares.append(np.maximum(covered, 0.0))
    weights = np.outer(*shares).ravel()
    share: npt.NDArray[np.float64] = weights / max(float(weights.sum()), 1e-9)
    return share
