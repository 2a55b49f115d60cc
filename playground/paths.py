"""Where files lie: the one module that knows."""

import os.path
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

# A wheel carries the assets inside the package; a clone has them beside it.
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
EXAMPLES = ASSETS / "examples"

# For what can be made again; need not exist. Unlike Path.home, this raises nothing where a user has no home.
CACHE = Path(os.path.expanduser("~/.cache/florence-2-playground"))


def read_asset(name: str) -> str:
    """Return a text that comes with the playground, by its path below the assets."""
    return (ASSETS / name).read_text(encoding="utf-8")
