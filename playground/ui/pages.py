"""The pages and the API as one app, and how it is served. A page is a module that builds itself; here is their list."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from playground.annotate.jobs import Jobs
from playground.engines import Engines
from playground.errors import CheckpointUnavailable, SettingsInvalid
from playground.paths import ASSETS, read_asset
from playground.pool import Pool
from playground.predictor import Predictor
from playground.settings import Settings
from playground.teachings import Teachings
from playground.ui import text
from playground.ui.api import add_api
from playground.ui.compare.layout import build_compare
from playground.ui.job_api import add_job_api
from playground.ui.live.layout import build_live
from playground.ui.many.layout import build_many
from playground.ui.measure.layout import build_measure
from playground.ui.one_picture.layout import build_one_picture
from playground.ui.server.address import address_to_listen_on, url_of
from playground.ui.server.arguments import fill_in_arguments
from playground.ui.server.cleanup import cleanup, close, hold_files, when_closed
from playground.ui.server.connections import limit_connections
from playground.ui.server.disk import Disk, DiskLimits, disk_of, use_disk
from playground.ui.server.doors import Doors, believe_proxies_here_only
from playground.ui.server.failures import FailuresAsSentences, tell_failures, tell_no_call
from playground.ui.server.headers import SecurityHeaders
from playground.ui.server.one_server import without_servers
from playground.ui.server.queue_limits import limit_queue
from playground.ui.server.quiet_log import keep_the_log_quiet
from playground.ui.server.run_messages import drop_silenced
from playground.ui.server.tabs import Heartbeats, OpenTabs
from playground.ui.server.turns import take_turns
from playground.ui.server.uploads import keep_uploads_apart
from playground.ui.server.visitors import Proxies, visitor_of
from playground.ui.task_list import search_words, task_headings
from playground.ui.teach.layout import build_teach
from playground.ui.widget.layout import build_widget

# A fifth of Python's own: whoever asks for a trifle is not to wait for those who draw or save.
_SECONDS_OF_A_THREAD = 0.001
_EARLY_STYLE = ".nav-holder { display: none; }"  # Gradio's own way to the other pages; ours is beside the title
_SECONDS_BETWEEN_ROUNDS = 30  # in which old files are found, and deleted


def build_app(predictor: Predictor, settings: Settings) -> gr.Blocks:
    """Return the pages and the API over a predictor; nothing is started."""
    folder = Path(get_upload_folder())
    jobs = Jobs(predictor, settings, folder, lambda paths: disk_of(folder).delete(paths))
    with without_servers():
        app = _build_pages(predictor, settings, jobs)
    take_turns(app)
    tell_failures(app)
    fill_in_arguments(app)
    drop_silenced(app)
    return app


def _build_pages(predictor: Predictor, settings: Settings, jobs: Jobs) -> gr.Blocks:
    app: gr.Blocks
    with gr.Blocks(title=text.TITLE, analytics_enabled=False) as app:
        first = build_one_picture(app, predictor, settings)
        add_api(predictor, settings)
        add_job_api(jobs)
    with app.route("Compare", "/compare", show_in_navbar=False):  # our own links lead to it, not Gradio's
        build_compare(app, predictor, settings, first)
    with app.route("Many pictures", "/many", show_in_navbar=False):
        build_many(app, predictor, settings, jobs)
    with app.route("Measure", "/measure", show_in_navbar=False):
        build_measure(app, predictor, settings)
    with app.route("Live", "/live", show_in_navbar=False):
        build_live(app, predictor, settings)
    with app.route("Widget", "/widget", show_in_navbar=False):
        build_widget(app, predictor, settings)
    ending = ExitStack()
    ending.callback(jobs.close)
    if settings.may_teach:
        teachings = Teachings(settings, partial(_add_adapter, predictor.engines))
        with app.route("Teach", "/teach", show_in_navbar=False):
            build_teach(app, predictor, settings, jobs, teachings)
        ending.callback(teachings.close)
    hold_files(app, jobs.held_files)
    when_closed(app, ending.close)
    app.queue(max_size=settings.queue_size, default_concurrency_limit=4, api_open=False)
    limit_queue(app, settings)
    keep_uploads_apart()
    if settings.mcp:
        from playground.ui.server.tools import offer_only_tools  # needs what an optional requirement brings

        offer_only_tools()
    return app


def _add_adapter(engines: Engines, base: str, folder: Path) -> str:
    """Let a checkpoint with an adapter be asked for. Raises CheckpointUnavailable where others decide what answers."""
    if not isinstance(engines, Pool):
        raise CheckpointUnavailable("Who answers here takes no adapters while it runs. Start it anew with --adapter.")
    return engines.add_adapter(base, folder)


def launch_options(settings: Settings) -> dict[str, Any]:
    """What `launch` is to be given besides where to listen."""
    keep, tabs = settings.keep_files_seconds, OpenTabs()
    proxies = Proxies(settings)
    believe_proxies_here_only()
    limit_connections(proxies)
    limits = DiskLimits(settings.disk_megabytes * 1_000_000, settings.disk_files, settings.visitor_disk_share, keep)
    disk = Disk(Path(get_upload_folder()), limits, visitor_of=visitor_of)
    use_disk(disk)
    return {
        "theme": _theme(),
        "css_paths": [
            ASSETS / f"{name}.css" for name in ("page", "compare", "many", "live", "measure", "teach", "widget")
        ],
        "css": task_headings(),
        "js": read_asset("page.js"),
        "head": f"<style>{_EARLY_STYLE}</style>\n<script>\n{_scripts()}</script>",
        "footer_links": ["api"],  # hidden: the way there is among the links to the pages
        "app_kwargs": {
            "middleware": [
                Middleware(SecurityHeaders, settings=settings),
                Middleware(Doors, settings=settings, proxies=proxies),
                Middleware(FailuresAsSentences),
                Middleware(Heartbeats, tabs=tabs),
            ],
            "exception_handlers": {RequestValidationError: tell_no_call},
            "lifespan": cleanup(disk, tabs, every_seconds=min(keep, _SECONDS_BETWEEN_ROUNDS)),
        },
        "run_history": False,
        "max_file_size": f"{settings.max_megabytes}mb",
        "mcp_server": settings.mcp,
        "enable_monitoring": False,
        "server_name": settings.host or None,
        "server_port": settings.port or None,
    }


@contextmanager
def serving(app: gr.Blocks, settings: Settings, *, is_port_named: bool = True) -> Iterator[str]:
    """Serve the page to the world in a process that does nothing else; gives its address. The log is kept quiet.

    Where the port was not named by anybody, another one will do, if a second program has taken it meanwhile.
    """
    if app.root_path and not app.root_path.startswith(("/", "http://", "https://")):
        raise SettingsInvalid(
            f"GRADIO_ROOT_PATH must begin with /, such as /playground, but got {app.root_path!r}. It may be left out: "
            "the page finds its files under any path."
        )
    keep_the_log_quiet()
    sys.setswitchinterval(_SECONDS_OF_A_THREAD)
    try:
        with redirect_stdout(StringIO()) as said:  # Gradio advertises, with signs that not every terminal has
            port = _launch(app, settings, is_port_named=is_port_named)
    except (OSError, ValueError) as error:
        where = f"{settings.host}:{settings.port}"
        raise SettingsInvalid(f"The page could not be served at {where} ({error}). Try another --port.") from error
    if settings.mcp and not app.mcp_server_obj:
        raise SettingsInvalid(f"The MCP server could not be started: {said.getvalue().strip()}")
    try:
        yield url_of(settings.host, port)
    finally:
        close(app)


def _launch(app: gr.Blocks, settings: Settings, *, is_port_named: bool) -> int:
    """Launch the app, and return its port."""
    options, port = launch_options(settings), settings.port
    for is_last in (is_port_named, False, False, True):
        try:
            app.launch(prevent_thread_lock=True, quiet=True, **options | {"server_port": port or None})
            return port
        except OSError:
            if is_last:
                raise
            _, port = address_to_listen_on(settings.host, 0)
    return port


def _scripts() -> str:
    """What listens from the start, whatever Gradio builds anew."""
    start = f"startTaskList({json.dumps(search_words())});"
    names = ("mends.js", "drop.js", "task_list.js", "copying.js", "many.js", "teach_page.js", "widget.js")
    return "\n".join([*map(read_asset, names), start, ""])


def _theme() -> gr.themes.Base:
    """One accent color; fonts of the reader's own system, so that no foreign host is asked.

    Gradio's own tints of quiet text and of the main button are paler than WCAG 2.2 wants them (4.5 to 1).
    """
    font = ["system-ui", "sans-serif"]
    theme = gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=font,
        font_mono=["ui-monospace", "monospace"],
    )
    return theme.set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
