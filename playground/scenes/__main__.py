"""Scenes as a data set, or in numbers: `python -m playground.scenes`."""

from playground.scenes.dataset import main

raise SystemExit(main())
