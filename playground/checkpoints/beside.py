"""What an adapter changes of a checkpoint that is loaded already, read anew; all else of the model is shared.

Whole layers are read, since a layer is prepared as a whole: the query's weights are joined with the key's. Knows the
names of weights and the tree of modules; nothing of files.
"""

import copy
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

_LAYER = re.compile(
    r"model\.(language_model\.(encoder|decoder)\.layers\.\d+|vision_tower\.blocks\.\d+\.\d+\.(spatial|channel)_block)\."
)


def layers_with(names: Iterable[str]) -> tuple[str, ...] | None:
    """Return how the names of all weights of these weights' layers begin; None where one is in no layer."""
    found = [_LAYER.match(name) for name in names]
    if not all(found):
        return None
    return tuple({match[0] for match in found if match})


def with_weights(module: Any, weights: Mapping[str, Any]) -> Any:
    """Return a module with these parameters, by their names in it, in place of its own.

    Modules that hold none of them are not copied; what is returned shares them.
    """
    if not weights:
        return module
    own, inside = {}, defaultdict[str, dict[str, Any]](dict)
    for name, weight in weights.items():
        first, _, rest = name.partition(".")
        if rest:
            inside[first][rest] = weight
        else:
            own[first] = weight
    copied = copy.copy(module)
    copied._parameters = {**module._parameters, **own}
    copied._modules = {name: with_weights(child, inside[name]) for name, child in module._modules.items()}
    return copied
