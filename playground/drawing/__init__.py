"""Draw a prediction on its picture, with supervision's annotators. Knows nothing of tasks, files and the page."""

from playground.drawing.annotate import draw
from playground.drawing.captions import score_text
from playground.drawing.colors import colors_of, ink_on
from playground.drawing.styles import Look, default_styles, styles_for

__all__ = ["Look", "colors_of", "default_styles", "draw", "ink_on", "score_text", "styles_for"]
