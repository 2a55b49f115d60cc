import numpy as np
import pytest

from playground.locations import NUM_BINS, dequantize, location_bin, location_token, quantize


@pytest.mark.parametrize(
    ("pixel", "extent", "bin_"),
    [
        pytest.param(0, 640, 0, id="near edge"),
        pytest.param(640, 640, 999, id="far edge belongs to the last bin"),
        pytest.param(-3.5, 640, 0, id="before the picture"),
        pytest.param(9000, 640, 999, id="beyond the picture"),
        pytest.param(float("inf"), 640, 999, id="infinitely far"),
        pytest.param(0.639, 640, 0, id="just inside the first bin"),
        pytest.param(0.64, 640, 1, id="a bin's lower edge is its own"),
        pytest.param(320, 640, 500, id="middle"),
        pytest.param(0.5, 1, 500, id="picture of one pixel"),
    ],
)
def test_quantize_takes_the_floor_and_clamps(pixel: float, extent: int, bin_: int) -> None:
    assert quantize(pixel, extent) == bin_


@pytest.mark.parametrize(
    ("bin_", "extent", "pixel"),
    [
        pytest.param(0, 1000, 0.5, id="first"),
        pytest.param(999, 1000, 999.5, id="last"),
        pytest.param(53, 640, 34.24, id="left edge of the published car"),
        pytest.param(7, 1, 0.0075, id="finer than a pixel"),
    ],
)
def test_dequantize_gives_the_center_of_the_bin(bin_: int, extent: int, pixel: float) -> None:
    assert dequantize(bin_, extent) == pytest.approx(pixel, abs=1e-12)


@pytest.mark.parametrize("extent", [1, 7, 640, 876, 1300, 7919, 100_000])
def test_every_bin_comes_back_from_its_center(extent: int) -> None:
    bins = np.arange(NUM_BINS)
    assert (quantize(dequantize(bins, extent), extent) == bins).all()


def test_a_round_trip_errs_by_half_a_bin_at_most() -> None:
    pixels = np.linspace(0, 1300, 4001)
    errors = np.abs(dequantize(quantize(pixels, 1300), 1300) - pixels)
    assert errors.max() <= 0.65 + 1e-9
    assert errors.max() > 0.6


def test_each_coordinate_may_have_a_side_of_its_own() -> None:
    sides = np.array([640, 480, 640, 480])
    assert quantize([320, 240, 640, 480], sides).tolist() == [500, 500, 999, 999]
    assert dequantize([500, 500, 999, 999], sides).tolist() == pytest.approx([320.32, 240.24, 639.68, 479.76])


def test_nothing_becomes_nothing() -> None:
    assert quantize([], 640).shape == (0,)
    assert dequantize([], 640).shape == (0,)


@pytest.mark.parametrize("bin_", [0, 7, 42, 999])
def test_a_bin_comes_back_from_its_token(bin_: int) -> None:
    assert location_bin(location_token(bin_)) == bin_


def test_a_location_token_is_spelled_without_padding() -> None:
    assert location_token(7) == "<loc_7>"


@pytest.mark.parametrize("bin_", [-1, 1000])
def test_a_bin_outside_the_vocabulary_has_no_token(bin_: int) -> None:
    with pytest.raises(ValueError, match=rf"a bin must be in 0\.\.999, but got {bin_}\."):
        location_token(bin_)


@pytest.mark.parametrize(
    "text",
    [
        "<loc_1000>",
        "<loc_007>",
        "<loc_-1>",
        "<loc_>",
        "<loc_1",
        " <loc_1>",
        "<loc_1> ",
        "<loc_1>\n",
        "<LOC_1>",
        "<loc_１>",
        "<loc_1><loc_2>",
        "loc",
        "",
    ],
)
def test_what_only_resembles_a_location_token_is_none(text: str) -> None:
    assert location_bin(text) is None
