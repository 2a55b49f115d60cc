"""Start replicas on this machine: `python -m playground.serving --replicas 2`."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from playground import console
from playground.arguments import MAX_PORT, whole
from playground.errors import PlaygroundError
from playground.serving.cluster import local_cluster
from playground.serving.wire import DEFAULT_PORT
from playground.settings import PRECISIONS, Settings


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m playground.serving",
        description="Run replicas of a checkpoint on this machine, until Ctrl+C. A page asks them with --engines.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--replicas", type=whole(1), default=1, metavar="N", help="how many; each gets its share of the processors")
    add("--checkpoint", default=settings.first_checkpoint, metavar="NAME",
        help="as for app.py; with an adapter: 'NAME + FOLDER' or 'NAME + HUB_ID'")  # fmt: skip
    add("--device", default=settings.device, help="auto, cpu, cuda, mps")
    add("--precision", default=settings.precision, choices=PRECISIONS, help="as for app.py")
    add("--offline", default=settings.offline, action="store_true", help="contact nobody")
    add("--host", default="127.0.0.1", help="address to listen on; whoever can reach it can ask")
    add("--port", type=whole(1, MAX_PORT), default=DEFAULT_PORT, help=f"port to listen on, {DEFAULT_PORT} without it")
    add("--metrics-port", type=whole(0, MAX_PORT), default=0, help="port of the figures for Prometheus; any without it")
    add("--logs", default="", metavar="FOLDER", help="where Ray keeps its logs; without it they are deleted at the end")
    add("--end-with-input", action="store_true", help="end when the standard input does, as with a program that dies")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run replicas until interrupted; what a user can mend is one sentence, not a traceback."""
    console.accept_any_terminal()
    console.end_as_by_ctrl_c()
    try:
        chosen = _parser(Settings.from_env(os.environ)).parse_args(arguments)
        console.say("Starting the replicas.")
        with local_cluster(
            replicas=chosen.replicas, checkpoint=chosen.checkpoint, device=chosen.device, precision=chosen.precision,
            offline=chosen.offline, host=chosen.host, port=chosen.port, metrics_port=chosen.metrics_port,
            folder=os.path.abspath(chosen.logs) if chosen.logs else "",
        ) as address:  # fmt: skip
            console.say(f"{chosen.replicas} replicas answer at {address}")
            console.say(f"A page asks them: python app.py --engines {address}")
            console.say("Ctrl+C ends them.")
            if chosen.end_with_input:
                sys.stdin.read()
            else:
                console.wait_for_ctrl_c()
    except PlaygroundError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
