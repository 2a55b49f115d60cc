"""Whether weights fit the model that a configuration describes, by their names and shapes alone.

Weights need not be at hand for that: their headers tell both.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from playground.checkpoints.catalog import Checkpoint
from playground.checkpoints.layout import (
    EMBEDDING,
    TIED_TO_EMBEDDING,
    TRANSPOSED,
    Layout,
    is_unused,
    layout_of,
    native_config,
    native_name,
)
from playground.checkpoints.plain import read_config
from playground.errors import CheckpointUnavailable

TensorShape = tuple[int, ...]


def check_fit(
    checkpoint: Checkpoint,
    *,
    missing: Iterable[str],
    mismatched: Iterable[tuple[str, Iterable[int], Iterable[int]]],
    unexpected: Iterable[str],
    original_names: Mapping[str, str],
) -> None:
    """Refuse files that leave parts of the model to chance or hold more than it has; names are those of the files.

    `mismatched` has the shape that was found and the one that is expected. Raises CheckpointUnavailable.
    """

    def named(names: Iterable[str]) -> str:
        first, *others = sorted(original_names.get(name, name) for name in names)
        return f"{first} and {len(others)} more" if others else first

    missing, unexpected, faults = list(missing), list(unexpected), []
    if missing:
        faults.append(f"lacks {named(missing)}")
    for name, found, expected in sorted(mismatched)[:1]:
        faults.append(f"has {named([name])} in the shape {list(found)} instead of {list(expected)}")
    if unexpected:
        faults.append(f"holds {named(unexpected)}, which Florence-2 does not have")
    if faults:
        raise CheckpointUnavailable(
            f"{checkpoint.title} {' and '.join(faults)}, so it would not answer as it was trained to. "
            "Fetch it again, or choose another checkpoint."
        )


def check_headers(checkpoint: Checkpoint, config: dict[str, Any], shapes: Mapping[str, TensorShape]) -> None:
    """Refuse weights that do not fit, by the names and the shapes in their headers. Raises CheckpointUnavailable."""
    original_names = {native_name(name): name for name in shapes if not is_unused(name)}
    found = {native: shapes[name] for native, name in original_names.items()}
    if layout_of(config, shapes) is Layout.ORIGINAL:
        if original_names.get(TRANSPOSED) == "image_projection":
            found[TRANSPOSED] = tuple(reversed(found[TRANSPOSED]))
        config = _translated(checkpoint, config, found)
    expected = _shapes_of(json.dumps(config, sort_keys=True))
    tied = {EMBEDDING, *TIED_TO_EMBEDDING}
    check_shapes(
        checkpoint, found, expected, tied=set() if tied.isdisjoint(found) else tied, original_names=original_names
    )


def check_shapes(
    checkpoint: Checkpoint,
    found: Mapping[str, TensorShape],
    expected: Mapping[str, TensorShape],
    *,
    tied: Collection[str],
    original_names: Mapping[str, str],
) -> None:
    """Refuse weights of other names or shapes than expected; those that are `tied` to others may be missing."""
    check_fit(
        checkpoint,
        missing=[name for name in expected if name not in found and name not in tied],
        mismatched=[(name, found[name], shape) for name, shape in expected.items() if found.get(name, shape) != shape],
        unexpected=found.keys() - expected.keys(),
        original_names=original_names,
    )


def _translated(checkpoint: Checkpoint, config: dict[str, Any], found: Mapping[str, TensorShape]) -> dict[str, Any]:
    # The table may get more rows when it is loaded: what counts here is that it is of the right width.
    tables = [found[name] for name in (EMBEDDING, *TIED_TO_EMBEDDING) if found.get(name)]
    num_rows = tables[0][0] if tables else 1
    try:
        return native_config(config, num_rows=num_rows, image_token_id=num_rows - 1)
    except ValueError as error:
        raise CheckpointUnavailable(
            f"{checkpoint.title} is built in another way than Florence-2: {error}. Choose another checkpoint."
        ) from error


@lru_cache(maxsize=8)  # most fine-tunes are of one of two sizes
def _shapes_of(config: str) -> dict[str, TensorShape]:
    """Return the shape of each weight of the model that a native configuration describes; nothing is allocated."""
    from playground.checkpoints.bare import bare_model

    return bare_shapes(bare_model(read_config(json.loads(config))))


def bare_shapes(bare: Any) -> dict[str, TensorShape]:
    """Return the shape of each weight of a `bare_model`."""
    return {name: tuple(tensor.shape) for name, tensor in bare.state_dict().items()}
