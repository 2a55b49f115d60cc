"""A loaded model made ready for inference: its passes over pictures, prompts and tokens, each the fastest known way.

On a CPU the passes are this package's own; on a GPU the vision tower is transformers', whose calls cost little there.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Never

import torch
from transformers import GenerationConfig

from playground.checkpoints.loader import LoadedCheckpoint
from playground.inference.decoding import DecodingRules
from playground.inference.kernels import Check, full, int8
from playground.inference.language import Decoder, Encoder
from playground.inference.memory import return_memory
from playground.inference.vision import VisionTower

_IMAGES_AT_ONCE = 8


class PreparedModel:
    """The passes of a Florence-2 that `prepare` has consumed.

    `check` is called again and again during a pass, and what it raises ends it.
    """

    def __init__(self, model: Any, *, eight_bits: bool, rules: type[DecodingRules]) -> None:
        self.rules = rules
        self.device: torch.device = model.device
        self.text_config = model.config.text_config
        # It would put an end under an answer that the budget has cut. `generate` takes what a configuration leaves
        # open from the model's own, so that the rule must go there.
        model.generation_config.forced_eos_token_id = None
        self.generation_config: GenerationConfig = model.generation_config
        self._embed = model.get_input_embeddings()
        self._projector = model.model.multi_modal_projector
        is_cpu = model.device.type == "cpu"
        pack = is_cpu and model.dtype is torch.bfloat16 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self._torch_tower = None if is_cpu else model.model.vision_tower
        self._tower = VisionTower(model.model.vision_tower, pack=pack) if is_cpu else None
        self._encoder = Encoder(model, pack=pack)
        # Rules that are not covered are left to `generate`, which needs the decoder's weights.
        is_covered = rules.of(model.generation_config) is not None
        if eight_bits:
            self.decoder = Decoder(model, int8, torch.float32, take=is_covered)
        else:
            self.decoder = Decoder(model, full, model.dtype)
        # Large pictures keep a processor busy one by one; small ones and those of a GPU wait for the calls between.
        self.images_at_once = 1 if is_cpu else _IMAGES_AT_ONCE
        self.generate = None if is_covered else copy.copy(model).generate
        return_memory()

    def encode_images(self, pixel_values: torch.Tensor, check: Check = lambda: None) -> torch.Tensor:
        """Return the features, batch x positions x width, of pictures as the image processor makes them."""
        if self._tower is not None:
            tower_features = self._tower(pixel_values, check)
        else:
            assert self._torch_tower is not None
            with _checking(list(self._torch_tower.modules()), check):
                dtype = self._embed.weight.dtype
                tower_features = self._torch_tower(pixel_values.to(dtype)).last_hidden_state
        features: torch.Tensor = self._projector(tower_features)
        return features

    def embed_prompt(self, ids: Sequence[int]) -> torch.Tensor:
        """Return the embeddings of a prompt's tokens, positions x width."""
        embeddings: torch.Tensor = self._embed(torch.tensor(ids, device=self.device))
        return embeddings

    def encode_prompts(
        self, inputs: torch.Tensor, mask: torch.Tensor | None = None, check: Check = lambda: None
    ) -> torch.Tensor:
        """Return the hidden states of features and embedded prompts; see `Encoder`."""
        return self._encoder(inputs, mask, check)


def prepare(loaded: LoadedCheckpoint, *, rules: type[DecodingRules] = DecodingRules) -> PreparedModel:
    """Return the passes of a loaded checkpoint, and consume its model: for any other use, load it again.

    Weights that are prepared anew are taken from it, so that they are not held twice. Its methods refuse from then on.
    """
    model = loaded.model
    if vars(model).get("forward") is _consumed:
        _consumed()
    prepared = PreparedModel(model, eight_bits=loaded.placement.eight_bits, rules=rules)
    for name in ("forward", "generate", "get_image_features", "get_encoder", "state_dict", "save_pretrained"):
        setattr(model, name, _consumed)
    return prepared


def _consumed(*_: object, **__: object) -> Never:
    raise RuntimeError("This model was consumed by `prepare`, which took its weights. Load the checkpoint again.")


@contextmanager
def _checking(modules: Sequence[torch.nn.Module], check: Check) -> Iterator[None]:
    """While inside, each of the modules first calls `check`. There are many: the first block alone takes a quarter."""
    hooks = [module.register_forward_pre_hook(lambda *_: check()) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
