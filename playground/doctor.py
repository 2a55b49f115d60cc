"""What works on this machine and what does not, line by line: the first thing to ask of anybody who reports a bug.

The real model is held against answers that its makers' port is tested with (transformers' integration tests of
Florence-2), so that a person with a network can see that it answers here as it does elsewhere.
"""

import json
import platform
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from playground import grammar
from playground.checkpoints import hub
from playground.checkpoints.catalog import BUNDLED, CATALOG, Checkpoint, resolve
from playground.checkpoints.loader import check_digests
from playground.checkpoints.parts import layout_in
from playground.engines import State
from playground.errors import CheckpointUnavailable, PlaygroundError
from playground.evaluation.metrics import matches
from playground.paths import ASSETS, EXAMPLES
from playground.pool import Pool
from playground.predictor import Predictor
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings

_PACKAGES = ("gradio", "torch", "transformers", "pillow", "supervision", "numpy")
_ORIGINAL = "microsoft/Florence-2-base"  # the same weights in the layout of Microsoft's own code
_MIN_OVERLAP = 0.75  # of a published box and ours: both are rounded, and sums differ between processors


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `is_good` is None for what could not be looked at, which is no fault."""

    about: str
    said: str
    is_good: bool | None = True

    def __str__(self) -> str:
        mark = {True: "ok", False: "FAILED", None: "-"}[self.is_good]
        return f"{mark:7} {self.about:30} {self.said}"


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield what is found, as it is found: versions, folders, files, what would answer, answers that are known."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    yield Finding("versions", f"Python {platform.python_version()} on {platform.platform()}; {versions}")
    uploads = Path(settings.cache_folder or tempfile.gettempdir())
    yield _tried("folder for uploads", partial(_check_writable, uploads, "PLAYGROUND_CACHE_FOLDER"))
    if not settings.offline:
        yield _tried("folder for checkpoints", partial(_check_writable, hub.cache_folder(), "HF_HOME"))
    local = {row: folder for row in _checkpoints(settings) if (folder := hub.find_local(row))}
    for checkpoint, folder in local.items():
        yield _tried(f"files of {checkpoint.name}", partial(_check_files, checkpoint, folder))
    yield _tried("the checkpoint loads", partial(_load_chosen, settings))
    yield _tried("a run", partial(_ask_bundled, settings))
    for name in _with_published_answers(settings, local):
        yield from _published_answers(settings, name, {checkpoint.name for checkpoint in local})


def _checkpoints(settings: Settings) -> list[Checkpoint]:
    named = [resolve(name) for name in settings.named_checkpoints]
    rows = [*named, *(row.base for row in named if row.base), *CATALOG, resolve(_ORIGINAL)]
    return list({checkpoint.name: checkpoint for checkpoint in rows}.values())


# --- Files


def _check_writable(folder: Path, variable: str) -> str:
    """Try to write where this user, who may be the second one of the machine, will have to."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return f"{folder} can be written"
    except OSError as error:
        raise _DiffersError(
            f"{existing} cannot be written by this user ({error.strerror}); let {variable} name another folder"
        ) from error


def _check_files(checkpoint: Checkpoint, folder: Path) -> str:
    digest, layout = check_digests(checkpoint, folder), layout_in(folder).value
    if not digest:
        raise _NotKnownError(f"{layout}; nothing to hold the weights in {folder} against")
    return f"{layout}; as published, SHA-256 {digest[:12]}"


# --- Answers


def _load_chosen(settings: Settings) -> str:
    """Load what the page would answer with, unless it takes a download."""
    if settings.checkpoint and not hub.find_local(resolve(settings.checkpoint)):
        raise _NotKnownError(_absent_sentence(settings.checkpoint))
    status = _loaded(replace(settings, offline=True)).engines.status()
    return f"{status.message} {status.details}"


def _ask_bundled(settings: Settings) -> str:
    """Ask the bundled checkpoint for all the things in an example, which are known."""
    truth = json.loads((EXAMPLES / "truth.json").read_text(encoding="utf-8"))["meadow.png"]
    prediction = _loaded(replace(settings, checkpoint=BUNDLED)).predict(EXAMPLES / "meadow.png", "<OD>")
    things = [Region(thing["label"], tuple(thing["xyxy"])) for thing in truth["things"]]
    _check_regions(things, prediction)
    return f"found all {len(things)} things of a drawn scene, in {prediction.timings.total or 0:.0f} ms"


def _with_published_answers(settings: Settings, local: Collection[Checkpoint]) -> list[str]:
    """Return the names of the real model: the native one, and Microsoft's own where it is asked for or here."""
    is_wanted = settings.checkpoint == _ORIGINAL or any(checkpoint.name == _ORIGINAL for checkpoint in local)
    return [_published()["checkpoint"], *([_ORIGINAL] if is_wanted else [])]


def _published_answers(settings: Settings, name: str, local: Collection[str]) -> Iterator[Finding]:
    """Ask the real model questions with known answers, in float32 and with three beams as its makers do."""
    published, of_which = _published(), " (Microsoft's)" if name == _ORIGINAL else ""
    if name not in local:
        yield Finding(f"published answers{of_which}", _absent_sentence(name), None)
        return
    load = cache(partial(_loaded, replace(settings, checkpoint=name, precision="float32")))
    for row in published["answers"]:
        find = partial(hub.find_picture, published["dataset"], row["picture"], offline=settings.offline)
        yield _tried(f"published {row['task']}{of_which}", partial(_compare_with_published, row, load, find))


def _published() -> dict[str, Any]:
    return dict(json.loads((ASSETS / "published-answers.json").read_text(encoding="utf-8")))


def _absent_sentence(name: str) -> str:
    return f"{name} is not on this machine; `{hub.download_command(resolve(name))}` fetches it"


def _compare_with_published(
    row: dict[str, Any], load: Callable[[], Predictor], find_picture: Callable[[], Path]
) -> str:
    try:
        picture = find_picture()
    except CheckpointUnavailable as error:
        raise _NotKnownError(str(error)) from error
    prediction = load().predict(picture, row["task"], decoding="careful")
    if list(prediction.resolution_wh) != row["resolution_wh"]:
        raise _DiffersError(f"the picture has {prediction.resolution_wh} pixels; it is another one")
    expected = grammar.parse(row["text"], row["task"], prediction.resolution_wh)
    if not expected.regions:
        if prediction.text != expected.text:
            raise _DiffersError(f"said {prediction.text!r}, not {expected.text!r}")
        return f"said what is published: {expected.text!r}"
    _check_regions(expected.regions, prediction)
    return f"found the {len(expected.regions)} published regions and no other"


def _check_regions(expected: Sequence[Region], prediction: Prediction) -> None:
    """Refuse an answer that lacks one of the regions or has another one."""
    found = int(matches(prediction.regions, expected, _MIN_OVERLAP).sum())
    if not found == len(expected) == len(prediction.regions):
        said = f"{len(prediction.regions)} regions, {found} of the {len(expected)} known ones among them"
        raise _DiffersError(said)


class _DiffersError(Exception):
    """Something is not as it is known to be."""


class _NotKnownError(Exception):
    """Something could not be looked at."""


def _loaded(settings: Settings) -> Predictor:
    pool = Pool(settings)
    status = pool.wait()
    if status.state is not State.READY:
        raise _DiffersError(status.message)
    return Predictor(pool)


def _tried(about: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(about, look())
    except _NotKnownError as error:
        return Finding(about, str(error), None)
    except (PlaygroundError, _DiffersError, OSError, ValueError) as error:
        return Finding(about, str(error), is_good=False)
