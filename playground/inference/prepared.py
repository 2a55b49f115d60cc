"""A loaded model made ready for inference: its passes over pictures, prompts and tokens, each the fastest known way.

CPU and GPU run the same passes, with weights prepared for a CPU and passes recorded on a GPU.
"""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from playground.checkpoints.loader import SMALL_MODEL, LoadedCheckpoint, explained
from playground.inference.decoding import DecodingRules
from playground.inference.graphs import RecordedPass
from playground.inference.kernels import Check, Preparations, full, int8
from playground.inference.language import Decoder, Encoder
from playground.inference.memory import each_apart, return_memory
from playground.inference.scores import Scores
from playground.inference.steps import DecodingSteps, GrowingSteps, StaticSteps
from playground.inference.threads import ALL_THREADS
from playground.inference.vision import VisionTower

# How many pictures go through the vision tower together. A large one keeps a processor busy by itself, and Stop has to
# wait for a block of all of them.
_IMAGES_AT_ONCE_ON_GPU = 8
_IMAGES_AT_ONCE_IF_SMALL = 4
# How many answers are written at the same time, each beam counted: each takes memory for its keys and values. Of a
# small model the calls take longer than what they compute; of a large one PyTorch unpacks the weights of a token anew
# for every four.
_MAX_ROWS = 12
_MAX_ROWS_IF_SMALL = 16
_MAX_ROWS_ON_GPU = 24
# How many pictures these answers may be about. Where the vision tower takes most of the time, the first answers would
# wait for pictures that they gain little from.
_MAX_PICTURES_IF_SLOW = 4


class PreparedModel:
    """The passes of a checkpoint that is loaded.

    `loaded` is what it was made of, and `made` what came of its modules, for a checkpoint that is loaded beside it.
    `check` is called again and again during a pass, and what it raises ends it.
    """

    def __init__(
        self, loaded: LoadedCheckpoint, rules: type[DecodingRules], made: Mapping[tuple[str, ...], Any]
    ) -> None:
        weights, dtype = loaded.weights, loaded.weights.dtype
        preparations = Preparations(weights, made)
        self.loaded = loaded
        self.made = preparations.made
        self.rules = rules
        self.text_config = weights.config.text_config
        self.generation_config = copy.deepcopy(loaded.parts.generation_config)
        # It would put an end under an answer that the budget has cut.
        self.generation_config.forced_eos_token_id = None
        self._embed = preparations.of("model.language_model.shared")
        self.device: torch.device = self._embed.weight.device
        self._projector = preparations.of("model.multi_modal_projector")
        is_cpu, is_recorded = self.device.type == "cpu", self.device.type == "cuda"
        # Where nothing is recorded, cuDNN plans each shape anew in each thread, as each run has its own: 10 ms a layer.
        torch.backends.cuda.enable_cudnn_sdp(False)
        num_parameters = loaded.num_parameters
        self.images_at_once = _images_at_once(num_parameters, is_cpu=is_cpu)
        # Threads wait for one another after each call. A small model's calls are so short that this gains little, and
        # where other programs use the processor too it costs ten times the answer.
        self.num_threads = 1 if num_parameters < SMALL_MODEL else ALL_THREADS
        self.max_rows = _max_rows(num_parameters, is_recorded=is_recorded)
        self._is_slow = is_cpu and num_parameters >= SMALL_MODEL
        self.max_pictures = _MAX_PICTURES_IF_SLOW if self._is_slow else self.max_rows
        pack = is_cpu and dtype is torch.bfloat16 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self._tower = VisionTower(preparations, pack=pack)
        self._recorded_encode = RecordedPass(lambda pixels: self._projector(self._tower(pixels)))
        self._encoder = Encoder(preparations, pack=pack)
        make, row_dtype = (int8, torch.float32) if loaded.placement.eight_bits else (full, dtype)
        self.decoder = Decoder(preparations, make, row_dtype)
        self.scores = Scores(loaded.location_ids)
        self.steps: DecodingSteps = GrowingSteps(self.decoder, self.scores)
        if is_recorded:
            positions = int(self.text_config.max_position_embeddings)
            self.steps = StaticSteps(
                self.decoder, self.scores, max_rows=self.max_rows, prompt_positions=positions, tokens=positions
            )
        # Rules that are not covered are left to transformers' own model. It takes what a configuration leaves open from
        # its own, so that the rule must go there.
        self.generate = None
        if rules.of(self.generation_config) is None:
            loaded.model.generation_config = self.generation_config.for_transformers()
            self.generate = loaded.model.generate
        weights.let_go()
        return_memory()

    def encode_images(self, pixel_values: torch.Tensor, check: Check = lambda: None) -> torch.Tensor:
        """Return the features, batch x positions x width, of pictures as the image processor makes them."""
        if self.device.type == "cuda":  # a picture takes some milliseconds there: nobody waits for the check
            return self._recorded_encode(pixel_values)
        if self._is_slow:
            return_memory()  # what is left of the last picture and answer would lie in pieces beside this one's
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
    made: Mapping[tuple[str, ...], Any] = MappingProxyType({}),
) -> PreparedModel:
    """Return the passes of a loaded checkpoint; what was `made` of the same weights before is taken.

    Raises CheckpointUnavailable where there is too little memory for them.
    """
    with explained(loaded.checkpoint.base or loaded.checkpoint, loaded.folder), each_apart():
        return PreparedModel(loaded, rules, made)
