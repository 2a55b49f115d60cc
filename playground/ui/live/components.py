"""The camera of the live page: a frame comes from it when the last one is answered, and goes back with what was found.

What it looks like and does in the browser is in `assets/live.*`.
"""

from gradio.data_classes import GradioModel
from pydantic import Field

from playground.paths import read_asset
from playground.ui.components import AssetComponent, BoxData

MAX_FRAME = 2_000_000  # characters: of a JPEG that the page makes, a tenth


class LiveData(GradioModel):
    """A frame in base64 with its number, from the page; and back, without it, what was found in pixels of `w` x `h`."""

    frame: str = ""
    number: int = 0
    seconds: float = 0.0  # since the camera was started
    w: int = 0
    h: int = 0
    boxes: list[BoxData] = Field(default_factory=list)
    text: str = ""
    problem: str = ""
    is_over: bool = False  # whether no other frame is wanted


class Camera(AssetComponent):
    """Shows the frame that was answered last with what was found in it. Events: `frame`, and `halt` at its end."""

    template, style, script = read_asset("live.html"), "", read_asset("live.js")
    data_model = LiveData

    def preprocess(self, payload: LiveData | None) -> LiveData:  # type: ignore[override]
        """Take the frame; what was found is ours."""
        payload = payload or LiveData()
        return LiveData(frame=payload.frame[:MAX_FRAME], number=payload.number, seconds=payload.seconds)

    def postprocess(self, value: LiveData | None) -> LiveData:  # type: ignore[override]
        return value or LiveData()
