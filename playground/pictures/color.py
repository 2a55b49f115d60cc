"""Pixels of every color model, by whatever profile, to 8-bit sRGB over white."""

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

UNREADABLE_PROFILE = "The color profile of the picture cannot be read; its colors are taken as sRGB."
_MODELS = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}  # of Pillow, and how a profile calls them
# Shares of red, green and blue at which a profile is compared with sRGB.
_GRID = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).astype(np.uint8)] * 3), axis=-1).reshape(1, -1, 3)


def split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colors of an 8-bit picture as L, RGB, CMYK or LAB, and its alpha where it has one."""
    if picture.mode in ("RGBa", "La"):
        picture = picture.convert("RGBA" if picture.mode == "RGBa" else "LA")
    if picture.mode == "LA":
        return picture.getchannel("L"), picture.getchannel("A")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return picture.convert("RGB"), picture.getchannel("A")
    if picture.mode == "1":
        return picture.convert("L"), None
    return picture if picture.mode in _MODELS else picture.convert("RGB"), None


def model_of(profile: bytes) -> str:
    """Return for which colors a profile is, as it calls them; nothing where it is too short to say."""
    return profile[16:20].decode("ascii", "replace").strip()


def to_srgb(colors: Image.Image, profile: bytes | None, notices: list[str]) -> Image.Image:
    """Convert colors by a profile; without one, gray and RGB are taken as sRGB."""
    if profile:
        try:
            source = _as_version_2(profile)
            model = source.profile.xcolor_space.strip()
            if model == "RGB" and colors.mode == "L":  # gray in a space of colors is the equal share of them
                colors = colors.convert("RGB")
            if model == _MODELS[colors.mode]:
                return _convert(colors, source)
        except Exception:  # lcms has no type for what is wrong with a profile
            notices.append(UNREADABLE_PROFILE)
        else:
            notices.append(f"The color profile of the picture is for {model} and not for its pixels; it was not used.")
    return colors.convert("RGB")


def _as_version_2(profile: bytes) -> ImageCms.ImageCmsProfile:
    """Return a profile that is treated as one of version 2, whatever its version.

    For one of version 4, at either end, lcms moves the darkest color of inks and of tables to black, as nobody asked it
    to; browsers do not.
    """
    return ImageCms.ImageCmsProfile(io.BytesIO(profile[:8] + b"\x02\x40" + profile[10:]))


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return _as_version_2(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def _convert(colors: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    intent, flags = ImageCms.Intent.PERCEPTUAL, ImageCms.Flags.NOWHITEONWHITEFIXUP  # white is what the profile says
    transform = ImageCms.buildTransform(source, _srgb(), colors.mode, "RGB", intent, flags)
    if colors.mode == "RGB" and _is_srgb(transform):  # nothing to do, in 50 ns for each pixel
        return colors
    converted = ImageCms.applyTransform(colors, transform)
    assert converted is not None  # as it is not told to convert in place
    return converted


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    converted = np.asarray(ImageCms.applyTransform(Image.fromarray(_GRID), transform), dtype=int)
    return int(np.abs(converted - _GRID).max()) <= 1


def over_white(rgb: Image.Image, alpha: Image.Image | None) -> Image.Image:
    """Return the picture on white where it is transparent."""
    if alpha is not None:
        rgb = Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)
    return rgb
