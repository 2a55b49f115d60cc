"""The page for measuring, without a browser."""

from pathlib import Path

from playground.checkpoints.catalog import BUNDLED
from playground.pool import Pool
from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui.measure.handlers import MeasureHandlers


def test_a_page_that_opens_offers_what_was_taught_since_the_start(tmp_path: Path) -> None:
    settings = Settings(checkpoint=BUNDLED, device="cpu", offline=True)
    pool = Pool(settings)
    handlers = MeasureHandlers(Predictor(pool), settings)
    taught = pool.add_adapter(BUNDLED, tmp_path)
    try:
        assert taught in dict(handlers.open()["checkpoints"]["choices"]).values()
    finally:
        pool.close()
