"""Measure a checkpoint on held-out scenes: `python -m playground.evaluation`."""

from playground.evaluation.on_scenes import main

main()
