"""Answers that do not end by themselves, and rules that are left to `generate`."""

from collections.abc import Sequence

import pytest

from playground.checkpoints.loader import LoadedCheckpoint
from playground.checkpoints.plain import Rules
from playground.inference.decoding import DecodingRules
from playground.inference.engine import Engine
from playground.inference.prepared import PreparedModel, prepare
from playground.pictures.reader import InputImage, read_image
from playground.scenes.scene import make_scene


class Endless(DecodingRules):
    """Rules by which no answer ends."""

    def banned(self, ids: Sequence[int]) -> list[int]:
        return [*super().banned(ids), *self.ends]


class Uncovered(DecodingRules):
    """Rules that are left to `generate`, whatever they are."""

    @classmethod
    def of(cls, config: Rules) -> None:
        return None


@pytest.fixture
def endless(prepared: PreparedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer ends by itself."""
    monkeypatch.setattr(prepared, "rules", Endless)


@pytest.fixture
def fallback_engine(fresh: LoadedCheckpoint) -> Engine:
    """An engine that leaves all to `generate`."""
    return Engine(fresh, prepare(fresh, rules=Uncovered), image_cache_bytes=8_000_000, prompt_cache_bytes=8_000_000)


@pytest.fixture(scope="session")
def three_images() -> list[InputImage]:
    return [read_image(make_scene(seed).image) for seed in (4, 5, 6)]
