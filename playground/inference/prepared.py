"""A loaded model made ready for inference: its passes over pictures, prompts and tokens, each the fastest known way.

CPU and GPU run the same passes, with weights prepared for a CPU and passes recorded on a GPU.
"""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Never

import torch
from transformers import GenerationConfig

from playground.checkpoints.loader import SMALL_MODEL, LoadedCheckpoint
from playground.inference.decoding import DecodingRules
from playground.inference.graphs import RecordedPass
from playground.inference.kernels import Check, Preparations, full, int8
from playground.inference.language import Decoder, Encoder
from playground.inference.memory import return_memory
from playground.inference.scores import Scores
from playground.inference.steps import DecodingSteps, GrowingSteps, StaticSteps
from playground.inference.threads import ALL_THREADS
from playground.inference.vision import VisionTower

# What a consumed model cannot do any more.
_CONSUMED = ("forward", "generate", "get_image_features", "get_encoder", "state_dict", "save_pretrained")
# How many pictures go through the vision tower together. A large one keeps a processor busy by itself, and Stop has to
# wait for a block of all of them.
_IMAGES_AT_ONCE_ON_GPU = 8
_IMAGES_AT_ONCE_IF_SMALL = 4
# How many answers are written at the same time, each beam counted: each takes memory for its keys and values. Of a
# small model the calls take longer than what they compute.
_MAX_ROWS = 8
_MAX_ROWS_IF_SMALL = 16
_MAX_ROWS_ON_GPU = 24
# How many pictures these answers may be about. Where the vision tower takes most of the time, the first answers would
# wait for pictures that they gain little from.
_MAX_PICTURES_IF_SLOW = 4


class PreparedModel:
    """The passes of a Florence-2 that `prepare` has consumed.

    `loaded` is what it was made of, and `made` what came of its modules, for a checkpoint that is loaded beside it.
    `check` is called again and again during a pass, and what it raises ends it.
    """

    def __init__(
        self, loaded: LoadedCheckpoint, rules: type[DecodingRules], made: Mapping[torch.nn.Module, Any]
    ) -> None:
        model = loaded.model
        preparations = Preparations(made)
        self.loaded = loaded
        self.made: dict[torch.nn.Module, Any] = preparations.made
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
        # Where nothing is recorded, cuDNN plans each shape anew in each thread, as each run has its own: 10 ms a layer.
        torch.backends.cuda.enable_cudnn_sdp(False)
        num_parameters = loaded.num_parameters
        self.images_at_once = _images_at_once(num_parameters, is_cpu=is_cpu)
        # Threads wait for one another after each call. A small model's calls are so short that this gains little, and
        # where other programs use the processor too it costs ten times the answer.
        self.num_threads = 1 if num_parameters < SMALL_MODEL else ALL_THREADS
        is_recorded = model.device.type == "cuda"
        self.max_rows = _max_rows(num_parameters, is_recorded=is_recorded)
        is_slow = is_cpu and num_parameters >= SMALL_MODEL
        self.max_pictures = _MAX_PICTURES_IF_SLOW if is_slow else self.max_rows
        pack = is_cpu and model.dtype is torch.bfloat16 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self._tower = VisionTower(model.model.vision_tower, preparations, pack=pack)
        self._recorded_encode = RecordedPass(lambda pixels: self._projector(self._tower(pixels)))
        self._encoder = Encoder(model, preparations, pack=pack)
        # Rules that are not covered are left to `generate`, which needs the decoder's weights.
        is_covered = rules.of(model.generation_config) is not None
        if loaded.placement.eight_bits:
            self.decoder = Decoder(model, int8, torch.float32, preparations, take=is_covered)
        else:
            self.decoder = Decoder(model, full, model.dtype, preparations, take=is_covered)
        self.scores = Scores(loaded.location_ids)
        self.steps: DecodingSteps = GrowingSteps(self.decoder, self.scores)
        if is_recorded:
            positions = int(self.text_config.max_position_embeddings)
            self.steps = StaticSteps(
                self.decoder, self.scores, max_rows=self.max_rows, prompt_positions=positions, tokens=positions
            )
        self.generate = None if is_covered else copy.copy(model).generate
        return_memory()

    def encode_images(self, pixel_values: torch.Tensor, check: Check = lambda: None) -> torch.Tensor:
        """Return the features, batch x positions x width, of pictures as the image processor makes them."""
        if self.device.type == "cuda":  # a picture takes some milliseconds there: nobody waits for the check
            return self._recorded_encode(pixel_values)
        features: torch.Tensor = self._projector(self._tower(pixel_values, check))
        return features

    def wait(self) -> None:
        """Return once a GPU has done what it was told, so that times are true."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def embed_prompt(self, ids: Sequence[int]) -> torch.Tensor:
        """Return the embeddings of a prompt's tokens, positions x width."""
        embeddings: torch.Tensor = self._embed(torch.tensor(ids, device=self.device))
        return embeddings

    def encode_prompts(
        self, inputs: torch.Tensor, mask: torch.Tensor | None = None, check: Check = lambda: None
    ) -> torch.Tensor:
        """Return the hidden states of features and embedded prompts; see `Encoder`."""
        return self._encoder(inputs, mask, check)


def _images_at_once(num_parameters: int, *, is_cpu: bool) -> int:
    if not is_cpu:
        return _IMAGES_AT_ONCE_ON_GPU
    return _IMAGES_AT_ONCE_IF_SMALL if num_parameters < SMALL_MODEL else 1


def _max_rows(num_parameters: int, *, is_recorded: bool) -> int:
    if is_recorded:
        return _MAX_ROWS_ON_GPU
    return _MAX_ROWS_IF_SMALL if num_parameters < SMALL_MODEL else _MAX_ROWS


def prepare(
    loaded: LoadedCheckpoint,
    *,
    rules: type[DecodingRules] = DecodingRules,
    made: Mapping[torch.nn.Module, Any] = MappingProxyType({}),
) -> PreparedModel:
    """Return the passes of a loaded checkpoint, and consume its model: for any other use, load it again.

    Weights that are prepared anew are taken from it, so that they are not held twice. Its methods refuse from then on.
    What was loaded beside another checkpoint wants what was `made` of that one's modules.
    """
    model = loaded.model
    if vars(model).get("forward") is _consumed:
        if not made:
            _consumed()
        for name in _CONSUMED:  # as of the model beside it, of which it is a copy
            delattr(model, name)
    prepared = PreparedModel(loaded, rules, made)
    for name in _CONSUMED:
        setattr(model, name, _consumed)
    return prepared


def _consumed(*_: object, **__: object) -> Never:
    raise RuntimeError("This model was consumed by `prepare`, which took its weights. Load the checkpoint again.")
