"""Where files lie: the one module that knows."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

# A wheel carries the assets inside the package; a clone has them beside it.
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
EXAMPLES = ASSETS / "examples"
CACHE = Path.home() / ".cache" / "florence-2-playground"  # for what can be made again; need not exist
