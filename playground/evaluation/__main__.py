"""Measure a checkpoint: `python -m playground.evaluation`, on held-out scenes, or on the data set of `--data`."""

import sys

from playground.evaluation import on_data, on_scenes

if {"-h", "--help"} & set(sys.argv) and "--data" not in sys.argv:
    print(on_data.command_line().format_help())
if any(argument.split("=")[0] == "--data" for argument in sys.argv[1:]):
    sys.exit(on_data.main())
on_scenes.main()
