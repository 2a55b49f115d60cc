"""Regions with sharper outlines: what makes them is fetched and loaded when it is first asked for.

Knows what it takes to have it in memory, and what becomes of a region. Importing it imports no torch.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from playground.checkpoints import hub
from playground.checkpoints.catalog import resolve_masks
from playground.checkpoints.files import check_folder
from playground.engines import State, Status, too_late_sentence
from playground.errors import CheckpointUnavailable, InputRejected, PlaygroundError, SettingsInvalid
from playground.masks.prompts import MaskOutline, MaskPrompt, Sharpened, read_points
from playground.pictures.reader import InputImage
from playground.regions import Box, Region
from playground.settings import Settings

OFF = "off"
_CACHE_BYTES = 70_000_000  # of features: those of four pictures in float32
_SECONDS_BETWEEN_CHECKS = 0.1
_EMPTY = "The mask is empty, so the outline stays as it was."
_NOT_REACHED = "It was stopped before this region."

_logger = logging.getLogger(__name__)


class MakesOutlines(Protocol):
    """What is loaded, as `engine.MaskEngine`."""

    @property
    def details(self) -> str:
        """Where it runs, and what differs from what was asked for."""

    def outlines(
        self, image: InputImage, prompts: Sequence[MaskPrompt], *, stop: threading.Event | None, deadline: float
    ) -> Generator[tuple[int, MaskOutline], None, None]:
        """Yield the place of each prompt and its outline, as soon as it is there."""


def _load_engine(checkpoint: Any, folder: Path, *, device: str, precision: str) -> MakesOutlines:
    from playground.masks.engine import MaskEngine  # brings torch, which the page does not wait for
    from playground.masks.model import load_mask_model

    model = load_mask_model(checkpoint, folder, device=device, precision=precision)
    return MaskEngine(model, cache_bytes=_CACHE_BYTES)


@dataclass(frozen=True, slots=True)
class MaskSteps:
    """The steps from a name to what makes masks; by default those of `checkpoints.hub` and of `masks.model`."""

    find_local: Callable[..., Path | None] = hub.find_local
    download: Callable[..., Path] = hub.download
    load: Callable[..., MakesOutlines] = _load_engine


class Sharpener:
    """Gives regions sharper outlines. Safe to use from several threads."""

    def __init__(self, settings: Settings, *, steps: MaskSteps = MaskSteps()) -> None:
        """Take note of the name; nothing is loaded before it is asked for.

        Raises CheckpointUnavailable when the settings name what cannot be, or a folder that holds something else.
        """
        self._settings = settings
        self._steps = steps
        self.is_on = settings.masks.strip().lower() != OFF
        self._checkpoint = resolve_masks(settings.masks if self.is_on else "")
        if self._checkpoint.is_local:
            check_folder(self._checkpoint, Path(self._checkpoint.source))
        self._changed = threading.Condition()
        self._engine: MakesOutlines | None = None
        self._status = Status(self._checkpoint, State.ABSENT, f"{self._checkpoint.title} is loaded when it is needed.")

    @property
    def status(self) -> Status:
        """How far it is."""
        with self._changed:
            return self._status

    def request(self) -> Status:
        """Begin to fetch and load it where it is absent or has failed; return at once with how far it is."""
        with self._changed:
            if self.is_on and self._status.state in (State.ABSENT, State.FAILED):
                self._set(State.LOADING, f"Loading {self._checkpoint.title}.")
                threading.Thread(target=self._bring, name="masks", daemon=True).start()
            return self._status

    def wait(self) -> None:
        """Return once it is loaded. Raises CheckpointUnavailable, which says how it can be had too."""
        try:
            self._acquire(threading.Event())
        except CheckpointUnavailable as error:
            raise error.in_full() from error

    def sharpen(
        self, image: InputImage, regions: Sequence[Region], points: Any = (), *, stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> tuple[Sharpened, ...]:  # fmt: skip
        """Return the regions with sharper outlines, in their order; of what was not reached, the region as it was.

        `points` are those of one region, as `read_points` takes them. Raises what `sharpen_each` raises.
        """
        made = dict(self.sharpen_each(image, regions, points, stop=stop, deadline=deadline))
        return tuple(made.get(place, Sharpened(region, why_not=_NOT_REACHED)) for place, region in enumerate(regions))

    def sharpen_each(
        self, image: InputImage, regions: Sequence[Region], points: Any = (), *, stop: threading.Event | None = None,
        deadline: float = math.inf,
    ) -> Generator[tuple[int, Sharpened], None, None]:  # fmt: skip
        """Yield the place of each region and what became of it, as soon as it is known; the picture is encoded once.

        Setting `stop`, or a deadline of `time.monotonic`, ends it with what is there. Raises CheckpointUnavailable
        where it cannot be had, InputRejected for points that cannot be used, and EngineFailed.
        """
        prompts = _prompts(image, regions, points)
        engine = self._acquire(stop or threading.Event())
        if engine is None or not prompts:
            return
        with closing(engine.outlines(image, prompts, stop=stop, deadline=deadline)) as outlines:
            for place, outline in outlines:
                yield place, _with_outline(regions[place], outline)

    def _acquire(self, stop: threading.Event) -> MakesOutlines | None:
        """Return what is loaded, after a wait for it; None where `stop` was set meanwhile."""
        if not self.is_on:
            raise CheckpointUnavailable(
                "Sharper outlines are turned off here. Ask whoever runs the playground.",
                details="They are turned off with --masks off. Start the playground without it.",
            )
        self.request()
        deadline = time.monotonic() + self._settings.load_wait_seconds
        with self._changed:
            while self._engine is None:
                if stop.is_set():
                    return None
                if self._status.state is State.FAILED:
                    raise CheckpointUnavailable(self._status.message, details=self._status.details)
                if time.monotonic() > deadline:
                    sentence = too_late_sentence(self._status, self._settings.load_wait_seconds)
                    raise CheckpointUnavailable(sentence)
                self._changed.wait(_SECONDS_BETWEEN_CHECKS)
            return self._engine

    # --- In the background

    def _bring(self) -> None:
        checkpoint, settings = self._checkpoint, self._settings
        try:
            folder = self._steps.find_local(checkpoint) or self._fetch()
            self._set(State.LOADING, f"Loading {checkpoint.title}.")
            engine = self._steps.load(checkpoint, folder, device=settings.device, precision=settings.precision)
        except SettingsInvalid as error:
            message = f"{checkpoint.title} cannot run here as the playground is set up."
            self._set(State.FAILED, message, details=str(error))
        except CheckpointUnavailable as error:
            self._set(State.FAILED, self._without_folder(str(error)), details=error.details)
        except PlaygroundError as error:
            self._set(State.FAILED, self._without_folder(str(error)))
        except Exception as error:
            _logger.exception("Loading %s failed", checkpoint.name)
            self._set(State.FAILED, f"{checkpoint.title} could not be loaded ({type(error).__name__}).")
        else:
            with self._changed:
                self._engine = engine
                self._set(State.READY, f"{checkpoint.title} is ready.", details=engine.details)

    def _fetch(self) -> Path:
        if self._settings.offline:
            raise hub.offline_error(self._checkpoint)

        def show(percent: float) -> None:
            message = f"Downloading {self._checkpoint.title}: {percent:.0f} %"
            self._set(State.DOWNLOADING, message, percent)

        show(0)
        return self._steps.download(self._checkpoint, show, self._settings.download_stall_seconds)

    def _without_folder(self, sentence: str) -> str:
        """Return a sentence for the page, whose visitors the folders of a server do not concern."""
        return sentence.replace(self._checkpoint.source, "its folder") if self._checkpoint.is_local else sentence

    def _set(self, state: State, message: str, percent: float | None = None, details: str = "") -> None:
        with self._changed:
            self._status = Status(self._checkpoint, state, message, percent, details=details)
            self._changed.notify_all()


def _prompts(image: InputImage, regions: Sequence[Region], points: Any) -> list[MaskPrompt]:
    read = read_points(points)
    if read and len(regions) != 1:
        raise InputRejected(
            f"Points say more of one region, but {len(regions)} regions were given. Send the region that they are for.",
            field="points",
        )
    width, height = image.resolution_wh
    for point in read:
        if not (0 <= point.x <= width and 0 <= point.y <= height):
            raise InputRejected(
                f"The point ({point.x:g}, {point.y:g}) is outside of the picture, which has {width} x {height} pixels.",
                field="points",
            )
    plus = [(point.x, point.y) for point in read if point.is_plus]
    return [MaskPrompt(_box(region, plus, image.resolution_wh), read) for region in regions]


def _box(region: Region, plus: Sequence[tuple[float, float]], resolution_wh: tuple[int, int]) -> Box:
    """Return the box of a region, inside the picture, and as large as what is to be in it wants."""
    width, height = resolution_wh
    x_min, y_min, x_max, y_max = region.xyxy
    xs = [min(max(x, 0.0), width) for x in (x_min, x_max, *(x for x, _ in plus))]
    ys = [min(max(y, 0.0), height) for y in (y_min, y_max, *(y for _, y in plus))]
    return min(xs), min(ys), max(xs), max(ys)


def _with_outline(region: Region, outline: MaskOutline) -> Sharpened:
    """Return a region with another outline, and the box around that; who found it, and how sure that was, stay."""
    if not outline.polygons:
        return Sharpened(region, outline.predicted_iou, _EMPTY)
    xs, ys = zip(*(point for part in outline.polygons for point in part), strict=True)
    sharper = replace(
        region,
        xyxy=(min(xs), min(ys), max(xs), max(ys)),
        xyxyxyxy=None,
        polygons=outline.polygons,
        original=region.original or replace(region, original=None),
    )
    return Sharpened(sharper, outline.predicted_iou)
