"""The page for measuring, without a browser."""

from pathlib import Path
from typing import Never

from playground.checkpoints.catalog import BUNDLED
from playground.errors import CheckpointUnavailable
from playground.pool import Pool, Steps
from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui.measure.handlers import MeasureHandlers


def no_model(*_: object, **__: object) -> Never:
    raise CheckpointUnavailable("Nothing is loaded here.")


def test_a_page_that_opens_offers_what_was_taught_since_the_start(tmp_path: Path) -> None:
    settings = Settings(checkpoint=BUNDLED, device="cpu", offline=True)
    pool = Pool(settings, steps=Steps(load=no_model))
    handlers = MeasureHandlers(Predictor(pool), settings)
    taught = pool.add_adapter(BUNDLED, tmp_path)
    try:
        assert taught in dict(handlers.open()["checkpoints"]["choices"]).values()
    finally:
        pool.close()
