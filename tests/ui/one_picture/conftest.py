"""Tabs of the page over a predictor that says what a test wants."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.results import Prediction
from tests.ui.doubles import ScriptedPredictor
from tests.ui.one_picture.tab import Tab, tab_of


@pytest.fixture(autouse=True)
def own_cache(cache: Path) -> None:
    """Whatever a handler writes goes to a cache of the test's own."""


@pytest.fixture
def ask(upload: Callable[..., str]) -> Callable[..., Tab]:
    """Return a tab with a picture of 60 x 40 pixels, whose questions are answered with a script."""

    def open_tab(*script: Prediction | Exception, **settings: Any) -> Tab:
        tab = tab_of(ScriptedPredictor(*script), **settings)
        tab.take(upload())
        return tab

    return open_tab
