"""Start the playground: arguments, settings, page."""

import argparse
import gc
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from playground import console
from playground.arguments import whole
from playground.errors import PlaygroundError, SettingsInvalid
from playground.late import import_ahead
from playground.settings import PRECISIONS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playground.engines import Engines
    from playground.pool import Pool
    from playground.serving.client import RemoteEngines

_SECONDS_BETWEEN_LOOKS = 0.3


def read_command(arguments: list[str], environ: dict[str, str]) -> tuple[bool, Settings]:
    """Return whether only to check, and the settings: the environment's, with the command line's over them."""
    settings = Settings.from_env(environ)
    parser = argparse.ArgumentParser(description="Florence-2 Playground: ask Florence-2 about a picture.")
    parser.add_argument("--checkpoint", default=settings.checkpoint, metavar="NAME | HUB_ID | FOLDER",
                        help="florence-2-base, florence-2-base-ft, florence-2-large, florence-2-large-ft, "
                             "tiny-florence2, a hub id of a fine-tune, or a folder")  # fmt: skip
    parser.add_argument("--adapter", action="append", metavar="FOLDER | HUB_ID",
                        help="a LoRA of the checkpoint; of several, the first one answers")  # fmt: skip
    parser.add_argument("--masks", default=settings.masks, metavar="NAME | HUB_ID | FOLDER | off",
                        help="what draws sharper outlines: sam2.1-tiny, which is fetched when it is first needed, "
                             "another SAM 2.1, EdgeTAM, or a folder of one")  # fmt: skip
    parser.add_argument("--device", default=settings.device, help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument(
        "--precision",
        default=settings.precision,
        choices=PRECISIONS,
        help="of the numbers; auto is the fastest that keeps the answers",
    )
    parser.add_argument("--engines", default=settings.engines, metavar="auto | ray://HOST:PORT",
                        help="let a cluster answer: one that is started here, or one at an address")  # fmt: skip
    parser.add_argument("--host", default=settings.host, help="address to listen on, such as 0.0.0.0")
    parser.add_argument("--port", default=settings.port, type=whole(), help="to listen on; 7860 or the next free one")
    parser.add_argument("--offline", default=settings.offline, action="store_true", help="contact nobody")
    parser.add_argument("--mcp", default=settings.mcp, action="store_true", help="serve the tools as an MCP server too")
    parser.add_argument("--check", action="store_true", help="look whether all is well, say what is found, and end")
    chosen = vars(parser.parse_args(arguments))
    chosen["adapter"] = settings.adapter if chosen["adapter"] is None else ",".join(chosen["adapter"])
    return chosen.pop("check"), replace(settings, **chosen)


def serve(settings: Settings) -> None:
    """Serve the page until interrupted; the checkpoint loads in the background."""
    if settings.mcp and find_spec("mcp") is None:
        raise SettingsInvalid("--mcp needs the package mcp. Install it: pip install -r requirements-extra.txt")
    gc.disable()  # until the page is there: of the time of its imports, looking for garbage takes a tenth
    # These are read when gradio and huggingface_hub are imported, hence the imports below.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if settings.on_zero_gpu:
        import spaces  # noqa: F401  # must come before torch

    from playground.annotate.given import files_of_jobs
    from playground.ui.server.address import address_to_listen_on
    from playground.ui.server.cache_folder import own_folder

    host, port = address_to_listen_on(settings.host, settings.port)
    kept = partial(files_of_jobs, keep_seconds=settings.keep_jobs_seconds)
    with own_folder(settings.cache_folder, kept) as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # where Gradio keeps what is uploaded and made
        _serve_in_folder(replace(settings, host=host, port=port), is_port_named=settings.port != 0)


def _serve_in_folder(settings: Settings, *, is_port_named: bool) -> None:
    from playground.masks.sharpener import Sharpener
    from playground.pictures.limits import Limits
    from playground.pictures.workers import PictureWorkers
    from playground.predictor import Predictor

    sharpener = Sharpener(settings)
    with _first_engines(settings) as engines:
        from playground.ui.pages import build_app, serving

        if settings.on_zero_gpu:
            engines.wait()  # the model must be on the GPU before the page is launched: each run forks this process
        limits = Limits(max_megapixels=settings.max_megapixels, max_megabytes=settings.max_megabytes)
        workers = PictureWorkers(limits)
        predictor = Predictor(
            engines, read=workers.read, look_plainly=workers.look_plainly, run_seconds=settings.run_seconds,
            sharpener=sharpener,
        )  # fmt: skip
        with serving(build_app(predictor, settings), settings, is_port_named=is_port_named) as url:
            console.say(f"The page is at {url}")
            gc.enable()
            engines.start()  # not before: what it imports would take the processor from the page
            if settings.mcp:
                console.say(f"The tools for language models (MCP) are at {url}/gradio_api/mcp/")
            console.say("Ctrl+C ends it.")
            _say_who_answers(engines)
            threading.Thread(target=import_ahead, daemon=True).start()  # an import takes no Ctrl+C
            console.wait_for_ctrl_c()


@contextmanager
def _first_engines(settings: Settings) -> "Iterator[Pool | RemoteEngines]":
    """Give who answers: this program, or a cluster."""
    if settings.engines:
        from playground.serving.beside import engines_of

        with engines_of(settings) as engines:
            yield engines
        return

    from playground.checkpoints.files import check_folder
    from playground.pool import Pool

    pool = Pool(settings)
    named = pool.status().checkpoint
    for row in filter(None, (named, named.base)):
        if row.is_local:
            check_folder(row, Path(row.source))  # at once, before the seconds that gradio's import takes
    yield pool


def _say_who_answers(engines: "Engines") -> None:
    """Follow the first checkpoint until it answers or has failed: what is fetched, and who answers in the end."""
    from playground.engines import State

    said = None
    while True:
        status = engines.status()
        line = status.message.partition(":")[0] if status.percent is not None else status.message
        if line != said:
            said = line
            console.say(line)
        if status.state in (State.READY, State.FAILED):
            for more in filter(None, (status.details, status.why)):
                console.say(more)
            return
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def check(settings: Settings) -> bool:
    """Print what works on this machine and what does not; returns whether all is well."""
    if settings.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    from playground.doctor import examine

    verdicts = []
    for finding in examine(settings):
        console.report(str(finding))
        verdicts.append(finding.is_good)
    return False not in verdicts


def main() -> None:
    """Read the command line and serve; what a user can mend is one sentence, not a traceback."""
    console.end_as_by_ctrl_c()  # which ends the runs, closes what is open and deletes what was uploaded
    console.accept_any_terminal()
    try:
        try:
            is_check, settings = read_command(sys.argv[1:], dict(os.environ))
            if is_check:
                sys.exit(0 if check(settings) else 1)
            serve(settings)
        finally:
            console.flush()
    except PlaygroundError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        # All is closed by now. To take PyTorch and the pages apart, object by object, takes Python some seconds.
        os._exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
