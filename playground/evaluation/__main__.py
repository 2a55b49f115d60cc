"""Measure a checkpoint: `python -m playground.evaluation`, on held-out scenes, or on the data set of `--data`."""

import sys

from playground.evaluation import on_data, on_scenes

_OF_SCENES = ("--count", "--checkpoint", "--tasks", "--json", "--write", "-h", "--help")
_given = {argument.split("=")[0] for argument in sys.argv[1:] if argument.startswith(("--", "-h"))}

if {"-h", "--help"} & _given and "--data" not in _given:
    print(on_data.command_line().format_help())
if not _given.issubset(_OF_SCENES):  # whoever has forgotten or misspelled --data means a data set
    sys.exit(on_data.main())
on_scenes.main()
