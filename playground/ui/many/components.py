"""What the page of many pictures has of its own: where files are dropped, and the grid of what was found in them.

What they look like and do in the browser is in `assets/many*`.
"""

from typing import Any

from gradio.data_classes import GradioModel
from pydantic import Field

from playground.paths import read_asset
from playground.ui.components import AssetComponent


class FilesData(GradioModel):
    """The paths of what was uploaded, and how many files one upload and one file's bytes may be.

    With `waits`, there was no room for a job of them yet, and the page offers to try again.
    """

    paths: list[str] = Field(default_factory=list)
    waits: bool = False
    max_files: int = 100
    max_bytes: int = 0


class FilesDrop(AssetComponent):
    """Takes any number of files and folders, and uploads them in parts. Event: `brought`, when all have come."""

    template, style, script = read_asset("many_files.html"), "", read_asset("many_files.js")
    data_model = FilesData

    def preprocess(self, payload: FilesData | None) -> FilesData:  # type: ignore[override]
        """Take what was uploaded; whose that is, the handler looks."""
        return payload or FilesData()

    def postprocess(self, value: FilesData | None) -> FilesData:  # type: ignore[override]
        return value or FilesData()


class WantedData(GradioModel):
    """Which part of which pictures the grid shows, and of which it has the thumbnails already.

    `num_begun` tells the answers that it knows from those to another question.
    """

    first: int = 0
    count: int = 60
    kind: str = "all"
    label: str = ""
    min_count: int = 0
    max_score: float = 1.0
    order: str = "as given"
    have: list[str] = Field(default_factory=list)
    picture: str = ""  # that was clicked
    threshold: float = -1.0  # that was clicked in the histogram
    num_begun: int = 0


class GridData(GradioModel):
    """How far the job is, what was found in all pictures, and the rows of a part of those that are wanted.

    With `keep`, the page leaves the rows that it has as they are.
    """

    job: dict[str, Any] = Field(default_factory=dict)
    revision: str = ""
    total: int = 0
    first: int = 0
    rows: list[dict[str, Any]] = Field(default_factory=list)
    labels: list[list[Any]] = Field(default_factory=list)  # [name, regions, pictures, color]
    kinds: dict[str, int] = Field(default_factory=dict)
    histogram: list[int] = Field(default_factory=list)
    threshold: float = 0.0
    opened: str = ""
    wanted: WantedData = Field(default_factory=WantedData)


class ResultGrid(AssetComponent):
    """What was found. Events: `window`, when other rows are wanted, `pick`, for one, and `hold`, for a lowest score."""

    template, style, script = read_asset("many_grid.html"), "", read_asset("many_grid.js")
    data_model = GridData

    def preprocess(self, payload: GridData | None) -> WantedData:  # type: ignore[override]
        """Take only what the user can change."""
        return payload.wanted if payload else WantedData()

    def postprocess(self, value: GridData | None) -> GridData:  # type: ignore[override]
        return value or GridData()
