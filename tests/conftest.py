"""What more than one file needs: the bundled checkpoint ready to answer, a drawn scene, the true-size skeleton.

Torch is imported by the fixtures that need it, so that the files which do without stay quick.
"""

import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from playground.checkpoints.catalog import BUNDLED
from playground.paths import ASSETS
from playground.pictures.reader import InputImage, read_image
from playground.scenes.examples import examples
from playground.scenes.scene import Scene, make_scene

if TYPE_CHECKING:
    from playground.checkpoints.loader import LoadedCheckpoint
    from playground.inference.engine import Engine
    from playground.inference.prepared import PreparedModel
    from playground.predictor import Predictor

# To be set before torch is imported: threads that wait in a busy loop cost a test five times as long on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_MEGABYTE = 1_000_000


@pytest.fixture(autouse=True)
def _same_numbers_at_random() -> None:
    """Each test draws the numbers that it draws alone, whatever ran before it in this process."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(scope="session")
def scene() -> Scene:
    """A kite, a star, a tree and a car in a meadow: a scene that was not among those of the training."""
    return make_scene(1_047_252)


@pytest.fixture(scope="session")
def caption(scene: Scene) -> str:
    return examples(scene)["<CAPTION>"].text


@pytest.fixture(scope="session")
def image(scene: Scene) -> InputImage:
    return read_image(scene.image)


def _load(folder: Path) -> "LoadedCheckpoint":
    from playground.checkpoints import catalog, loader

    return loader.load(catalog.resolve(str(folder)), folder, device="cpu")


@pytest.fixture(scope="session")
def loaded() -> "LoadedCheckpoint":
    """The bundled checkpoint, loaded once for all tests."""
    return _load(ASSETS / BUNDLED)


@pytest.fixture
def fresh() -> "LoadedCheckpoint":
    """The bundled checkpoint, loaded for one test."""
    return _load(ASSETS / BUNDLED)


@pytest.fixture(scope="session")
def processor(loaded: "LoadedCheckpoint") -> Any:
    """transformers' own processor of the bundled checkpoint."""
    from transformers import Florence2Processor

    return Florence2Processor.from_pretrained(loaded.checkpoint.source, backend="pil")


@pytest.fixture(scope="session")
def prepared(loaded: "LoadedCheckpoint") -> "PreparedModel":
    """The bundled checkpoint's model, prepared once for all engines."""
    from playground.inference.prepared import prepare

    return prepare(loaded)


@pytest.fixture
def engine(loaded: "LoadedCheckpoint", prepared: "PreparedModel") -> "Engine":
    """A fresh engine, its caches empty, on the bundled checkpoint."""
    from playground.inference.engine import Engine

    return Engine(loaded, prepared, image_cache_bytes=8 * _MEGABYTE, prompt_cache_bytes=8 * _MEGABYTE)


@pytest.fixture(scope="session")
def predictor() -> "Predictor":
    from playground.predictor import Predictor

    return Predictor.load("tiny-florence2", device="cpu", offline=True)


@pytest.fixture(scope="session")
def skeleton() -> Path:
    """The folder of a Florence-2-base of the true size with random weights, made once for many runs."""
    from playground.bench.skeleton import skeleton

    return skeleton()


@pytest.fixture(scope="session")
def skeleton_engine(skeleton: Path) -> "Engine":
    from playground.inference.engine import Engine
    from playground.inference.prepared import prepare

    loaded = _load(skeleton)
    return Engine(loaded, prepare(loaded), image_cache_bytes=64 * _MEGABYTE, prompt_cache_bytes=64 * _MEGABYTE)
