"""What more than one file needs: the bundled checkpoint ready to answer, a drawn scene, the true-size skeleton.

Torch is imported by the fixtures that need it, so that the files which do without stay quick.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from playground.pictures.reader import InputImage, read_image
from playground.scenes.examples import examples
from playground.scenes.scene import Scene, make_scene

if TYPE_CHECKING:
    from playground.checkpoints.loader import LoadedCheckpoint
    from playground.inference.engine import Engine
    from playground.predictor import Predictor

_MEGABYTE = 1_000_000
_SKELETON_MAKER = Path(__file__).resolve().parents[2] / "shared" / "tools" / "make_skeleton.py"


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


@pytest.fixture(scope="session")
def loaded() -> "LoadedCheckpoint":
    from playground.checkpoints import catalog, loader

    bundled = catalog.resolve(catalog.BUNDLED)
    return loader.load(bundled, Path(bundled.source), device="cpu")


@pytest.fixture(scope="session")
def processor(loaded: "LoadedCheckpoint") -> Any:
    """transformers' own processor of the bundled checkpoint."""
    from transformers import Florence2Processor

    return Florence2Processor.from_pretrained(loaded.checkpoint.source, backend="pil")


@pytest.fixture
def engine(loaded: "LoadedCheckpoint") -> "Engine":
    """A fresh engine, its caches empty, on the bundled checkpoint."""
    from playground.inference.engine import Engine

    return Engine(loaded, image_cache_bytes=8 * _MEGABYTE, prompt_cache_bytes=8 * _MEGABYTE)


@pytest.fixture(scope="session")
def predictor() -> "Predictor":
    from playground.predictor import Predictor

    return Predictor.load("tiny-florence2", device="cpu", offline=True)


@pytest.fixture(scope="session")
def skeleton() -> Path:
    """The folder of a Florence-2-base of the true size with random weights, made once for many runs."""
    if not _SKELETON_MAKER.is_file():
        pytest.skip(f"The maker of the true-size checkpoint is not on this machine: {_SKELETON_MAKER}")
    folder = Path(tempfile.gettempdir()) / "florence-2-skeleton"
    if not folder.is_dir():
        unfinished = Path(tempfile.mkdtemp(prefix="florence-2-skeleton-"))
        subprocess.run([sys.executable, _SKELETON_MAKER, unfinished], check=True, capture_output=True, timeout=240)
        try:
            os.rename(unfinished, folder)
        except OSError:  # another run was quicker
            shutil.rmtree(unfinished)
    return folder


@pytest.fixture(scope="session")
def skeleton_engine(skeleton: Path) -> "Engine":
    from playground.checkpoints import catalog, loader
    from playground.inference.engine import Engine

    loaded = loader.load(catalog.resolve(str(skeleton)), skeleton, device="cpu")
    return Engine(loaded, image_cache_bytes=64 * _MEGABYTE, prompt_cache_bytes=64 * _MEGABYTE)
