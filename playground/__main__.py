"""Start the playground: arguments, settings, page."""

import argparse
import os
import signal
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from playground.errors import PlaygroundError, SettingsInvalid
from playground.settings import PRECISIONS, Settings


def read_command(arguments: list[str], environ: dict[str, str]) -> tuple[bool, Settings]:
    """Return whether only to check, and the settings: the environment's, with the command line's over them."""
    settings = Settings.from_env(environ)
    parser = argparse.ArgumentParser(description="Florence-2 Playground: ask Florence-2 about a picture.")
    parser.add_argument("--checkpoint", default=settings.checkpoint, metavar="NAME | HUB_ID | FOLDER",
                        help="florence-2-base, florence-2-base-ft, florence-2-large, florence-2-large-ft, "
                             "tiny-florence2, a hub id of a fine-tune, or a folder")  # fmt: skip
    parser.add_argument("--device", default=settings.device, help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--precision", default=settings.precision, choices=PRECISIONS, help="of the numbers; auto is "
                        "the fastest that keeps the answers")
    parser.add_argument("--host", default=settings.host, help="address to listen on, such as 0.0.0.0")
    parser.add_argument("--port", default=settings.port, type=int, help="port to listen on; 7860 or the next free one")
    parser.add_argument("--offline", default=settings.offline, action="store_true", help="contact nobody")
    parser.add_argument("--mcp", default=settings.mcp, action="store_true", help="serve the tools as an MCP server too")
    parser.add_argument("--check", action="store_true", help="look whether all is well, say what is found, and end")
    chosen = vars(parser.parse_args(arguments))
    return chosen.pop("check"), replace(settings, **chosen)


def serve(settings: Settings) -> None:
    """Serve the page until interrupted; the checkpoint loads in the background."""
    if settings.mcp and find_spec("mcp") is None:
        raise SettingsInvalid("--mcp needs the package mcp. Install it: pip install -r requirements-extra.txt")
    # These are read when gradio and huggingface_hub are imported, hence the imports below.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if settings.on_zero_gpu:
        import spaces  # noqa: F401  # must come before torch

    from playground.checkpoints.files import check_folder
    from playground.pictures.limits import Limits
    from playground.pool import Pool
    from playground.predictor import Predictor

    pool = Pool(settings)
    named = pool.status().checkpoint
    if named.is_local:
        check_folder(named, Path(named.source))  # at once, before the seconds that gradio's import takes

    from playground.ui.pages import build_app, launch_options

    pool.start()
    if settings.on_zero_gpu:
        pool.wait()  # the model must be on the GPU before the page is launched: each run is a fork of this process
    limits = Limits(max_megapixels=settings.max_megapixels, max_megabytes=settings.max_megabytes)
    predictor = Predictor(pool, limits, run_seconds=settings.run_seconds)
    build_app(predictor, settings).launch(**launch_options(settings))


def check(settings: Settings) -> bool:
    """Print what works on this machine and what does not; returns whether all is well."""
    if settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    from playground.doctor import examine

    verdicts = []
    for finding in examine(settings):
        print(finding, flush=True)
        verdicts.append(finding.is_good)
    return False not in verdicts


def main() -> None:
    """Read the command line and serve; what a user can mend is one sentence, not a traceback."""
    # A host ends a program so: let it end as Ctrl+C does, which ends the runs and closes what is open.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        is_check, settings = read_command(sys.argv[1:], dict(os.environ))
        if is_check:
            sys.exit(0 if check(settings) else 1)
        serve(settings)
    except PlaygroundError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
