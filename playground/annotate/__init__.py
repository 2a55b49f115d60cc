"""Many pictures: sources, the job with its journal, and the files at its end. Knows no page."""

from playground.annotate.together import annotate

__all__ = ["annotate"]
