"""What the comparing page has of its own: a text with the words that only one side has, how far both agree, and both
drawn pictures one over the other.

What they look like is in `assets/compare.*`.
"""

from typing import Any

from gradio.data_classes import FileData, GradioModel
from pydantic import Field

from playground.paths import read_asset
from playground.ui.components import AssetComponent


class WordsData(GradioModel):
    """A text in pieces, each {"text": ..., "only": whether the other side lacks it}, or the sentence `empty`."""

    pieces: list[dict[str, Any]] = Field(default_factory=list)
    empty: str = ""


class Words(AssetComponent):
    """The answer of one side. What a model wrote is shown as text, never as markup."""

    template = '<p class="words" tabindex="-1"></p>'
    style, script = "", read_asset("compare_words.js")
    data_model = WordsData

    def preprocess(self, payload: WordsData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: WordsData | None) -> WordsData:  # type: ignore[override]
        return value or WordsData()


class AgreementData(GradioModel):
    """Figures by what they count, each {"what": ..., "value": ..., "color": "#rrggbb" or ""}, and a sentence."""

    figures: list[dict[str, str]] = Field(default_factory=list)
    sentence: str = ""


class AgreementFigures(AssetComponent):
    """How far two answers agree, in numbers; the colors are those of the regions."""

    template = '<dl class="figures"></dl><p class="figures-note" role="status"></p>'
    style, script = "", read_asset("compare_figures.js")
    data_model = AgreementData

    def preprocess(self, payload: AgreementData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: AgreementData | None) -> AgreementData:  # type: ignore[override]
        return value or AgreementData()


class OverData(GradioModel):
    """The drawn pictures of both sides, of one size; without them nothing is shown."""

    left: FileData | None = None
    right: FileData | None = None
    w: int = 0
    h: int = 0


class Over(AssetComponent):
    """Both drawn pictures one over the other, and a slider for the edge between them."""

    template = (
        '<div class="over" hidden><img alt="The left answer, drawn" /><img alt="The right answer, drawn" />'
        '<input type="range" min="0" max="100" value="50" aria-label="How much of the left answer is seen" /></div>'
    )
    style, script = "", read_asset("compare_over.js")
    data_model = OverData

    def preprocess(self, payload: OverData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: OverData | None) -> OverData:  # type: ignore[override]
        return value or OverData()
