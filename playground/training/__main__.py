"""Train the tiny model: `python -m playground.training`."""

from playground.training.trainer import main

main()
