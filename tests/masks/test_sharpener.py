"""Regions get sharper outlines, by transformers' own classes with weights at random: no outline means anything."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from playground.annotate.answers import Answers
from playground.annotate.command import carry_out, read_job_command
from playground.checkpoints.catalog import MASK_CATALOG, Checkpoint, resolve_masks
from playground.engines import State
from playground.errors import CheckpointUnavailable, InputRejected, SettingsInvalid
from playground.events import RunStage
from playground.masks.engine import MaskEngine
from playground.masks.model import MaskModel, load_mask_model
from playground.masks.outlining import outlines_of
from playground.masks.prompts import MaskPoint, MaskPrompt
from playground.masks.sharpener import MaskSteps, Sharpener
from playground.pictures.limits import Limits
from playground.pictures.reader import InputImage, read_image
from playground.predictor import Predictor
from playground.question import Question
from playground.regions import Polygon, Region
from playground.results import Prediction
from playground.settings import Settings
from playground.ui.api import Api
from playground.ui.picture import Upload
from tests.masks.tiny import write_tiny_masks
from tests.noise import noise

CAR, KITE = Region("car", (10, 20, 60, 50), 0.7), Region("kite", (70, 5, 95, 40), 0.4, source="added", cover="blur")
SPOT = Region("spot", (30, 30, 31, 31))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_masks(tmp_path_factory.mktemp("masks") / "tiny-sam")


@pytest.fixture(scope="module")
def model(folder: Path) -> MaskModel:
    return load_mask_model(resolve_masks(str(folder)), folder, device="cpu", precision="auto")


@pytest.fixture
def engine(model: MaskModel) -> MaskEngine:
    return MaskEngine(model, cache_bytes=130_000)  # those of three pictures


@pytest.fixture
def sharpener(folder: Path, engine: MaskEngine) -> Sharpener:
    return Sharpener(Settings(masks=str(folder)), steps=MaskSteps(load=lambda *_, **__: engine))


@pytest.fixture(scope="module")
def picture() -> InputImage:
    return read_image(noise((100, 60)))


def test_a_region_keeps_what_it_is_and_what_the_model_had_said(sharpener: Sharpener, picture: InputImage) -> None:
    car, kite, spot = sharpener.sharpen(picture, [CAR, KITE, SPOT])
    for row, before in ((car, CAR), (kite, KITE), (spot, SPOT)):
        assert row.region.polygons
        assert replace(row.region, xyxy=before.xyxy, polygons=(), original=None) == before
        assert row.region.original == before
        points = [point for part in row.region.polygons for point in part]
        assert row.region.xyxy == (*map(min, zip(*points, strict=True)), *map(max, zip(*points, strict=True)))
        assert 0 <= row.predicted_iou <= 1
    again = sharpener.sharpen(picture, [car.region])[0].region
    assert again.original == CAR, "not what was made of it in between"


def test_boxes_together_are_outlined_as_one_by_one(engine: MaskEngine, model: MaskModel, picture: InputImage) -> None:
    prompts = [MaskPrompt((x, 5, x + 30, 55)) for x in range(0, 70, 10)]
    assert len(prompts) > model.boxes_at_once
    together = dict(engine.outlines(picture, prompts))
    features = model.encode(picture.pixels, lambda: None)
    alone = [model.decode(features, [prompt], picture.resolution_wh) for prompt in prompts]
    outlines = [outlines_of(logits[0].numpy(), picture.resolution_wh) for logits, _ in alone]
    for place, (_, (iou,)) in enumerate(alone):
        assert together[place].predicted_iou == pytest.approx(iou, abs=1e-5)
        # Not their points: of a speck another one is left out where a logit differs in its last bit.
        alike = [_likeness(together[place].polygons, outline) for outline in outlines]
        own = alike.pop(place)
        assert own > max(alike)
        assert own > 0.98
    assert engine.image_encodings == 1


def _likeness(*outlines: tuple[Polygon, ...]) -> float:
    """Return the intersection over union of two outlines, drawn four times as large as they are."""
    drawn = [Image.new("1", (400, 240)) for _ in outlines]
    for image, parts in zip(drawn, outlines, strict=True):
        for part in parts:
            ImageDraw.Draw(image).polygon([(4 * x, 4 * y) for x, y in part], fill=1)
    one, other = map(np.asarray, drawn)
    return float((one & other).sum() / (one | other).sum())


def test_a_picture_is_encoded_once_while_there_is_room(engine: MaskEngine, picture: InputImage) -> None:
    others = [read_image(Image.new("RGB", (40, 40), (shade, 0, 0))) for shade in range(4)]
    for image in (picture, picture, *others, picture):
        list(engine.outlines(image, [MaskPrompt((5, 5, 30, 30))]))
    assert engine.image_encodings == 6, "the first one had made way"


def test_points_change_an_outline_and_widen_its_box(model: MaskModel, picture: InputImage) -> None:
    asked: list[MaskPrompt] = []

    class Watched(MaskEngine):
        def outlines(self, image: InputImage, prompts: Any, **options: Any) -> Any:
            asked.extend(prompts)
            return super().outlines(image, prompts, **options)

    engine = Watched(model, cache_bytes=2_000_000)
    sharpener = Sharpener(Settings(), steps=MaskSteps(find_local=lambda _: Path(), load=lambda *_, **__: engine))
    (plain,) = sharpener.sharpen(picture, [CAR])
    (pointed,) = sharpener.sharpen(picture, [CAR], [(80, 30, True)])
    (minus,) = sharpener.sharpen(picture, [CAR], [MaskPoint(20, 30, is_plus=False)])
    assert len({row.region.polygons for row in (plain, pointed, minus)}) == 3
    assert [prompt.box for prompt in asked] == [(10, 20, 60, 50), (10, 20, 80, 50), (10, 20, 60, 50)]
    assert asked[1].points == (MaskPoint(80, 30),)


@pytest.mark.parametrize(
    ("regions", "points", "sentence"),
    [
        pytest.param([CAR, KITE], [(1, 1, True)], "Points say more of one region, but 2 regions", id="whose points?"),
        pytest.param([CAR], [(101, 1, True)], r"\(101, 1\) is outside of the picture", id="outside"),
        pytest.param([CAR], [(1, float("nan"), True)], "cannot be used: .*finite", id="no number"),
        pytest.param([CAR], "here", "cannot be used", id="no points"),
        pytest.param([CAR], [(1, 1, True)] * 65, "at most 64", id="too many"),
    ],
)
def test_points_that_are_none_are_refused(
    sharpener: Sharpener, picture: InputImage, regions: list[Region], points: Any, sentence: str
) -> None:
    with pytest.raises(InputRejected, match=sentence):
        sharpener.sharpen(picture, regions, points)


def test_an_empty_mask_leaves_the_region_and_says_so(
    folder: Path, picture: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(None, sharpener=Sharpener(Settings(masks=str(folder))))
    said = Prediction(Question("<OD>"), "x", picture.resolution_wh, picture.digest, regions=(CAR,), stage=RunStage.DONE)
    sharper = predictor.sharpen(picture, said)
    assert sharper.regions[0].original == CAR
    assert re.fullmatch(r"Predicted IoU of the sharper outlines, which is no score: 0\.\d\d", *sharper.notices)
    with monkeypatch.context() as patch:
        patch.setattr("playground.masks.engine.outlines_of", lambda *_: ())
        kept = predictor.sharpen(picture, said)
        assert predictor.sharpen(picture, [CAR]) == (CAR,)
    assert (kept.regions, kept.notices) == ((CAR,), ("car: The mask is empty, so the outline stays as it was.",))
    with pytest.raises(InputRejected, match="about another picture"):
        predictor.sharpen(Image.new("RGB", (100, 60)), said)


@pytest.mark.parametrize("size", [pytest.param((7300, 5400), id="40 MP"), pytest.param((20_000, 100), id="a strip")])
def test_pictures_of_any_size_are_outlined(sharpener: Sharpener, size: tuple[int, int]) -> None:
    image = read_image(noise((size[0] // 100, max(1, size[1] // 100))).resize(size))
    region = Region("x", (size[0] / 4, 0, size[0] / 2, size[1]))
    (row,) = sharpener.sharpen(image, [region])
    assert row.region.polygons
    width, height = image.resolution_wh
    assert all(0 <= x <= width and 0 <= y <= height for part in row.region.polygons for x, y in part)


def test_stop_ends_it_between_two_batches_and_within_the_tower(
    sharpener: Sharpener, engine: MaskEngine, model: MaskModel, picture: InputImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, decode = threading.Event(), model.decode

    def decode_and_stop(*given: Any) -> Any:
        stop.set()
        return decode(*given)

    monkeypatch.setattr(model, "decode", decode_and_stop)
    rows = sharpener.sharpen(picture, [CAR] * 9, stop=stop)
    assert [bool(row.region.polygons) for row in rows] == [True] * 4 + [False] * 5
    assert rows[-1].why_not == "It was stopped before this region."
    other = read_image(Image.new("RGB", (30, 30)))
    assert not any(row.region.polygons for row in sharpener.sharpen(other, [CAR], stop=stop))
    assert sharpener.sharpen(other, [CAR], deadline=time.monotonic())[0].why_not
    assert engine.image_encodings == 1, "the second picture was not looked at"


def test_what_cannot_be_had_is_a_sentence(folder: Path, tmp_path: Path, picture: InputImage) -> None:
    missing = Sharpener(Settings(offline=True), steps=MaskSteps(find_local=lambda _: None))
    with pytest.raises(
        CheckpointUnavailable,
        match=r"^SAM 2\.1 tiny is not on this machine, and the playground is offline\. Ask whoever runs it\.$",
    ) as caught:
        missing.sharpen(picture, [CAR])
    assert "hf download facebook/sam2.1-hiera-tiny --revision de431c4" in caught.value.details
    with pytest.raises(CheckpointUnavailable, match="turned off here"):
        Sharpener(Settings(masks="off")).sharpen(picture, [CAR])
    with pytest.raises(CheckpointUnavailable, match=r"makes no masks\. Give --masks one of sam2\.1-tiny"):
        Sharpener(Settings(masks="no such thing"))
    with pytest.raises(CheckpointUnavailable, match="model type 'florence2', not one that makes masks"):
        Sharpener(Settings(masks="assets/tiny-florence2"))
    with pytest.raises(CheckpointUnavailable, match=r"is incomplete: config\.json, model\.safetensors missing"):
        Sharpener(Settings(masks=str(tmp_path)))


def test_it_is_fetched_when_it_is_first_asked_for_and_again_after_a_failure(
    engine: MaskEngine, picture: InputImage
) -> None:
    failures, seen = [CheckpointUnavailable("The hub answered 503.", details="Later.")], []

    def download(checkpoint: Checkpoint, on_progress: Callable[[float], None], _stall_seconds: float) -> Path:
        on_progress(41.4)
        seen.append((sharpener.status.state, sharpener.status.message))
        if failures:
            raise failures.pop()
        return Path(checkpoint.source)

    steps = MaskSteps(find_local=lambda _: None, download=download, load=lambda *_, **__: engine)
    sharpener = Sharpener(Settings(), steps=steps)
    assert (sharpener.status.state, seen) == (State.ABSENT, [])
    with pytest.raises(CheckpointUnavailable, match="The hub answered 503") as caught:
        sharpener.sharpen(picture, [CAR])
    assert caught.value.details == "Later."
    assert sharpener.sharpen(picture, [CAR])[0].region.polygons
    assert seen == [(State.DOWNLOADING, "Downloading SAM 2.1 tiny: 41 %")] * 2
    assert sharpener.status.message == "SAM 2.1 tiny is ready."


def test_a_checkpoint_for_videos_loads_and_half_of_one_does_not(folder: Path, model: MaskModel, tmp_path: Path) -> None:
    video = Path(shutil.copytree(folder, tmp_path / "video"))
    config = json.loads((video / "config.json").read_text()) | {"model_type": "sam2_video", "num_maskmem": 7}
    (video / "config.json").write_text(json.dumps(config))
    tensors = load_file(video / "model.safetensors")
    matrix = tensors.pop("prompt_encoder.shared_embedding.positional_embedding")  # one under two names
    tensors["shared_image_embedding.positional_embedding"] = matrix
    save_file({**tensors, "memory_encoder.x": torch.ones(1)}, video / "model.safetensors", {"format": "pt"})
    loaded = load_mask_model(resolve_masks(str(video)), video, device="cpu", precision="auto")
    features = loaded.encode(Image.new("RGB", (50, 50)), lambda: None)
    same = loaded.decode(features, [MaskPrompt((5, 5, 20, 20))], (50, 50))[1]
    assert same == pytest.approx(model.decode(features, [MaskPrompt((5, 5, 20, 20))], (50, 50))[1], abs=1e-6)

    del tensors["mask_decoder.iou_token.weight"]
    save_file(tensors, video / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointUnavailable, match=r"lacks mask_decoder\.iou_token\.weight"):
        load_mask_model(resolve_masks(str(video)), video, device="cpu", precision="auto")


def test_edgetam_says_what_it_needs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Path(shutil.copytree(folder, tmp_path / "edge"))
    (edge / "config.json").write_text(json.dumps({"model_type": "edgetam_video"}))
    monkeypatch.setattr("playground.masks.model.find_spec", lambda _: None)
    with pytest.raises(CheckpointUnavailable, match="needs the package timm, which is not installed"):
        load_mask_model(resolve_masks(str(edge)), edge, device="cpu", precision="auto")


def test_the_catalog_pins_what_is_known() -> None:
    assert [row.name for row in MASK_CATALOG if row.revision] == ["sam2.1-tiny", "sam2.1-large"]
    assert resolve_masks("") is resolve_masks("facebook/sam2.1-hiera-tiny") is MASK_CATALOG[0]
    assert resolve_masks("me/tune@v1") == Checkpoint("me/tune@v1", "tune", "me/tune", "v1", makes="masks")
    assert Limits().max_megapixels == 40, "what the largest picture above is made for"


def test_a_job_writes_sharp_outlines(folder: Path, predictor: Predictor, tmp_path: Path) -> None:
    arguments = ["assets/examples/meadow.png", "--task", "<OD>", "--out", str(tmp_path / "out"), "--offline"]
    sharp = ["--checkpoint", "tiny-florence2", "--sharp-outlines", "--masks", str(folder)]
    assert carry_out(read_job_command([*arguments, *sharp], {}))
    (row,) = Answers(tmp_path / "out").rows()
    assert row.prediction is not None
    assert row.prediction.regions
    assert all(region.polygons and region.original for region in row.prediction.regions)
    missing = ["--checkpoint", "tiny-florence2", "--sharp-outlines", "--overwrite", "--masks", "me/none"]
    with pytest.raises(CheckpointUnavailable, match=r"is offline\..*`hf download me/none`"):
        carry_out(read_job_command([*arguments, *missing], {}))
    assert len(list(Answers(tmp_path / "out").rows())) == 1, "before anything is asked or deleted"
    with pytest.raises(SettingsInvalid, match="drawn by this program, not by a Ray"):
        read_job_command([*arguments, *sharp, "--ray", "local"], {})


def test_the_api_sharpens_a_prediction(folder: Path, predictor: Predictor) -> None:
    sharpening = Predictor(predictor.engines, sharpener=Sharpener(Settings(masks=str(folder))))
    api, picture = Api(sharpening, Settings()), Upload("assets/examples/meadow.png")
    said = sharpening.predict(picture.source, "<OD>")
    sharper = api.sharpen(picture, said.to_dict())
    assert [region["label"] for region in sharper["regions"]] == [region.label for region in said.regions]
    assert all("polygons" in region for region in sharper["regions"])
    one = {**said.to_dict(), "regions": [said.regions[0].to_dict()]}
    assert api.sharpen(picture, one, [[10, 10, True]])["regions"] != sharper["regions"][:1]
    for given, points, sentence in ((said.to_dict(), [[1, 1, True]], "more of one region"), (one, [["x"]], "points")):
        with pytest.raises(gr.Error, match=sentence):
            api.sharpen(picture, given, points)
