"""Load what makes masks, and its two passes: a picture to features, features and prompts to masks.

Knows transformers' classes. Knows nothing of outlines or of who asks.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from playground.checkpoints.catalog import Checkpoint, read_json
from playground.checkpoints.files import weight_files
from playground.checkpoints.fits import check_fit
from playground.checkpoints.hub import resolved_revision, revision_notice
from playground.checkpoints.loader import Placement, check_numbers, choose_placement, count_parameters, load_checked
from playground.checkpoints.plain import import_transformers
from playground.checkpoints.preprocessing import Preprocessing
from playground.errors import CheckpointUnavailable
from playground.inference.vision import pixel_values
from playground.masks.prompts import MaskPoint, MaskPrompt

Features = tuple[torch.Tensor, ...]  # of one picture, from fine to coarse, each 1 x width x rows x columns

# One matrix under two names: of checkpoints from when transformers tied them, one of the two may be left out.
_SAME_MATRIX = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of SAM 2.1
_BOXES_AT_ONCE = 4  # of one picture: each takes some fifty megabytes meanwhile


class MaskModel:
    """One loaded checkpoint that makes masks. To be used by one thread at a time."""

    def __init__(
        self, checkpoint: Checkpoint, model: Any, picture_format: Preprocessing, placement: Placement, notice: str
    ) -> None:
        self.checkpoint = checkpoint
        self.placement = placement
        self.notice = notice  # what differs from what was asked for, in a sentence; mostly empty
        self.boxes_at_once = _BOXES_AT_ONCE
        self._model = model
        self._format = picture_format
        self._check: Callable[[], None] = lambda: None
        for block in getattr(model.vision_encoder.backbone, "blocks", ()):
            block.register_forward_pre_hook(lambda *_: self._check())

    @property
    def side(self) -> int:
        """How many pixels the model sees of a picture's side: to so many each picture is resized."""
        return self._format.size["width"]

    def encode(self, image: Image.Image, check: Callable[[], None]) -> Features:
        """Return the features of a picture; what `check` raises before a block of the tower ends it."""
        values = pixel_values(image, self._format, self._model.device).to(self._model.dtype)
        self._check = check
        try:
            return tuple(level.contiguous() for level in self._model.get_image_embeddings(values))
        finally:
            self._check = lambda: None

    def decode(
        self, features: Features, prompts: Sequence[MaskPrompt], resolution_wh: tuple[int, int]
    ) -> tuple[torch.Tensor, list[float]]:
        """Return the logits of a mask for each prompt, prompts x rows x columns, and the predicted IoU of each.

        Either none of the prompts has points, or there is but one prompt.
        """
        scale = torch.tensor([self.side / side for side in resolution_wh])
        boxes = torch.tensor([prompt.box for prompt in prompts]).reshape(-1, 2, 2) * scale
        given: dict[str, Any] = {"input_boxes": boxes.reshape(1, -1, 4).to(self._model.device)}
        if points := prompts[0].points:
            given |= self._points(points, scale)
        made = self._model(image_embeddings=list(features), multimask_output=False, **given)
        ious = made.iou_scores[0, :, 0].float().clamp(0, 1).tolist()
        return made.pred_masks[0, :, 0].float().cpu(), ious

    def _points(self, points: Sequence[MaskPoint], scale: torch.Tensor) -> dict[str, torch.Tensor]:
        at = torch.tensor([(point.x, point.y) for point in points]) * scale
        signs = torch.tensor([int(point.is_plus) for point in points])
        placed = {"input_points": at[None, None], "input_labels": signs[None, None]}
        return {name: values.to(self._model.device) for name, values in placed.items()}


def load_mask_model(checkpoint: Checkpoint, folder: Path, *, device: str, precision: str) -> MaskModel:
    """Load the files of a folder. Runs no code of the checkpoint and touches no network.

    Raises CheckpointUnavailable for anything that would leave a part of the model to chance, and SettingsInvalid as
    `choose_placement` does.
    """
    return load_checked(checkpoint, folder, lambda: _load(checkpoint, folder, device, precision))


def _load(checkpoint: Checkpoint, folder: Path, device: str, precision: str) -> MaskModel:
    import_transformers()
    from safetensors.torch import load_file
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    placement = choose_placement(device, num_parameters=count_parameters(folder), precision=precision)
    model_class, config = _class_and_config(checkpoint, folder)
    tensors = {name: tensor for path in weight_files(folder) for name, tensor in load_file(path).items()}
    for name, other in (_SAME_MATRIX, _SAME_MATRIX[::-1]):
        if other in tensors:
            tensors.setdefault(name, tensors[other])
    model, report = model_class.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        dtype=getattr(torch, placement.dtype),
        ignore_mismatched_sizes=True,  # they are refused below, with a sentence
        output_loading_info=True,
    )
    check_fit(
        checkpoint,
        missing=report["missing_keys"],
        mismatched=report["mismatched_keys"],
        unexpected=(),  # what only videos need is in the same file
        original_names={},
    )
    check_numbers(model.state_dict(), {}, checkpoint)
    notice = revision_notice(checkpoint, resolved_revision(checkpoint, folder))
    side = int(config.prompt_encoder_config.image_size)
    return MaskModel(
        checkpoint,
        model.to(placement.device).eval().requires_grad_(False),
        _picture_format(folder, side),
        placement,
        notice,
    )


def _class_and_config(checkpoint: Checkpoint, folder: Path) -> tuple[Any, Any]:
    """Return the class for pictures, and its configuration, also of a checkpoint that is for videos."""
    import transformers

    facts = read_json(folder / "config.json")
    is_edge = str(facts["model_type"]).startswith("edgetam")
    if is_edge and find_spec("timm") is None:
        raise CheckpointUnavailable(
            f"{checkpoint.title} needs the package timm, which is not installed. Install it: pip install timm. "
            "Or choose SAM 2.1, which needs nothing more."
        )
    name = "EdgeTam" if is_edge else "Sam2"
    config_class = getattr(transformers, f"{name}Config")
    parts = {part: facts.get(part) for part in ("vision_config", "prompt_encoder_config", "mask_decoder_config")}
    return getattr(transformers, f"{name}Model"), config_class(**parts)


def _picture_format(folder: Path, side: int) -> Preprocessing:
    """Return how pictures are normalized, as the checkpoint says it where it does, else as SAM 2.1."""
    described = folder / "preprocessor_config.json"
    facts = read_json(described) if described.is_file() else {}
    mean, std = (tuple(facts.get(name) or usual) for name, usual in (("image_mean", _MEAN), ("image_std", _STD)))
    return Preprocessing({"width": side, "height": side}, Image.Resampling.BILINEAR, 1 / 255, mean, std)
