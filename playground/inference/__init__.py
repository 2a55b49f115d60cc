"""Florence-2's forward pass for inference: the weights of transformers' model, and fewer steps between them."""

from collections.abc import Callable

Check = Callable[[], None]  # called again and again during a pass; what it raises ends the pass
