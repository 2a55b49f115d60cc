"""Teach a checkpoint: `python -m playground.finetune`."""

from playground.finetune.command import main

main()
