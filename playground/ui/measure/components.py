"""The report of a measurement in a frame of its own, where nothing of it can run."""

from gradio.data_classes import GradioModel

from playground.paths import read_asset
from playground.ui.components import AssetComponent


class ReportData(GradioModel):
    """A report as a whole page of HTML; nothing before there is one."""

    page: str = ""


class ReportFrame(AssetComponent):
    """Shows a report. It quotes what a data set says, so its frame may run no script and reach nothing of the page."""

    template, style, script = read_asset("measure.html"), "", read_asset("measure.js")
    data_model = ReportData

    def preprocess(self, payload: ReportData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: str | None) -> ReportData:  # type: ignore[override]
        return ReportData(page=value or "")
