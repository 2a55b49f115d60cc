"""The passes of a loaded model: pictures, prompts, and one token after another, each done the fastest known way.

On a CPU the passes are this package's own; on a GPU the vision tower is transformers', whose calls cost little there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from playground.florence2 import Check
from playground.florence2.language import Decoder, Encoder
from playground.florence2.products import full, int8
from playground.florence2.vision import VisionTower
from playground.memory import return_memory


class Forward:
    """The passes of a `Florence2ForConditionalGeneration` that was loaded for inference.

    `eight_bits` lets the decoder read its weights as 8-bit integers, for bfloat16 on a CPU. Weights that are prepared
    anew are taken from the model, the decoder's only with `take_decoder`: after that its `generate` cannot be called.
    `check` is called again and again during a pass, and what it raises ends it.
    """

    def __init__(self, model: Any, *, eight_bits: bool, take_decoder: bool = False) -> None:
        self._model = model
        is_cpu = model.device.type == "cpu"
        pack = is_cpu and model.dtype is torch.bfloat16 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self._tower = VisionTower(model.model.vision_tower, pack=pack) if is_cpu else None
        self._encoder = Encoder(model, pack=pack)
        if eight_bits:
            self.decoder = Decoder(model, int8, torch.float32, take=take_decoder)
        else:
            self.decoder = Decoder(model, full, model.dtype)
        return_memory()

    def encode_images(self, pixel_values: torch.Tensor, check: Check) -> torch.Tensor:
        """Return the features, batch x positions x width, of pictures as the image processor makes them."""
        if self._tower is None:
            with _checking(list(self._model.model.vision_tower.modules()), check):
                features: torch.Tensor = self._model.get_image_features(pixel_values).pooler_output
        else:
            features = self._model.model.multi_modal_projector(self._tower(pixel_values, check))
        return features

    def encode_prompts(self, inputs: torch.Tensor, mask: torch.Tensor | None, check: Check) -> torch.Tensor:
        """Return the hidden states of features and embedded prompts; see `Encoder`."""
        return self._encoder(inputs, mask, check)


@contextmanager
def _checking(modules: Sequence[torch.nn.Module], check: Check) -> Iterator[None]:
    """While inside, each of the modules first calls `check`. There are many: the first block alone takes a quarter."""
    hooks = [module.register_forward_pre_hook(lambda *_: check()) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
