"""What the comparing page has of its own: a text with the words that only one side has, and how far both agree.

What they look like is in `assets/compare.*`.
"""

from typing import Any

from gradio.data_classes import GradioModel
from pydantic import Field

from playground.paths import ASSETS
from playground.ui.components import AssetComponent


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


class WordsData(GradioModel):
    """A text in pieces, each {"text": ..., "only": whether the other side lacks it}, or the sentence `empty`."""

    pieces: list[dict[str, Any]] = Field(default_factory=list)
    empty: str = ""


class Words(AssetComponent):
    """The answer of one side. What a model wrote is shown as text, never as markup."""

    template = '<p class="words" tabindex="-1"></p>'
    style, script = "", _asset("compare_words.js")
    data_model = WordsData

    def preprocess(self, payload: WordsData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: WordsData | None) -> WordsData:  # type: ignore[override]
        return value or WordsData()


class AgreementData(GradioModel):
    """AgreementFigures by what they count, each {"what": ..., "value": ..., "color": "#rrggbb" or ""}, and a sentence."""

    figures: list[dict[str, str]] = Field(default_factory=list)
    sentence: str = ""


class AgreementFigures(AssetComponent):
    """How far two answers agree, in numbers; the colors are those of the regions."""

    template = '<dl class="figures"></dl><p class="figures-note" role="status"></p>'
    style, script = "", _asset("compare_figures.js")
    data_model = AgreementData

    def preprocess(self, payload: AgreementData | None) -> None:  # type: ignore[override]
        """Nothing here is the user's to change."""

    def postprocess(self, value: AgreementData | None) -> AgreementData:  # type: ignore[override]
        return value or AgreementData()
