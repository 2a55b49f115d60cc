"""How a checkpoint wants a picture to be resized and normalized.

transformers' image processors take as long to import as its models: they are left to what is unusual.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

_STEPS = {"do_resize": True, "do_rescale": True, "do_normalize": True, "do_center_crop": False}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """A picture is resized to a width and a height, by Pillow's method of that number, then rescaled and normalized."""

    size: Mapping[str, int]
    resample: int
    rescale_factor: float
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    image_seq_length: int = 0  # how many positions of a prompt it takes, where there is one

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self | None:
        """Return what the settings of an image processor say, or None where they say more than that, or less."""
        size, kind = settings.get("size"), str(settings.get("image_processor_type", "CLIPImageProcessor"))
        is_whole = settings.keys() >= {*cls.__slots__} and isinstance(size, dict) and size.keys() == {"height", "width"}
        is_plain = all(settings.get(step) is is_taken for step, is_taken in _STEPS.items())
        if not (is_whole and is_plain and kind.startswith("CLIPImageProcessor")):
            return None
        return cls(**{name: settings[name] for name in cls.__slots__})

    def for_transformers(self) -> Any:
        """Return transformers' image processor that does the same."""
        return clip_processor(asdict(self) | _STEPS)


def clip_processor(settings: Mapping[str, Any]) -> Any:
    """Return transformers' image processor of such settings."""
    from transformers import CLIPImageProcessorPil

    figures = {name: value for name, value in settings.items() if name != "image_seq_length"}
    processor: Any = CLIPImageProcessorPil(**figures)
    processor.image_seq_length = settings["image_seq_length"]
    return processor
