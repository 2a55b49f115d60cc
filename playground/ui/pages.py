"""The pages and the API as one app, and how it is served. A page is a module that builds itself; here is their list."""

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from playground.paths import ASSETS
from playground.predictor import Predictor
from playground.settings import Settings
from playground.ui import text
from playground.ui.api import add_api
from playground.ui.one_picture.layout import build_one_picture
from playground.ui.server.arguments import fill_in_arguments
from playground.ui.server.cleanup import cleanup
from playground.ui.server.headers import SecurityHeaders
from playground.ui.server.queue_limits import limit_queue
from playground.ui.task_list import task_headings

_SECONDS_BETWEEN_ROUNDS = 60  # in which files are deleted that are older than the settings allow


def build_app(predictor: Predictor, settings: Settings) -> gr.Blocks:
    """Return the pages and the API over a predictor; nothing is started."""
    app: gr.Blocks
    with gr.Blocks(title=text.TITLE, analytics_enabled=False) as app:
        build_one_picture(app, predictor, settings)
        add_api(predictor, settings)
    app.queue(max_size=settings.queue_size, default_concurrency_limit=4, api_open=False)
    limit_queue(app, settings)
    fill_in_arguments(app)
    return app


def launch_options(settings: Settings) -> dict[str, Any]:
    """What `launch` is to be given besides where to listen."""
    keep = settings.keep_files_seconds
    return {
        "theme": _theme(),
        "css_paths": [ASSETS / "page.css"],
        "css": task_headings(),
        "js": (ASSETS / "page.js").read_text(encoding="utf-8"),
        "footer_links": ["api"],
        "app_kwargs": {
            "middleware": [Middleware(SecurityHeaders, settings=settings)],
            "lifespan": cleanup(every_seconds=min(keep, _SECONDS_BETWEEN_ROUNDS), keep_seconds=keep),
        },
        "run_history": False,
        "max_file_size": f"{settings.max_megabytes}mb",
        "mcp_server": settings.mcp,
        "enable_monitoring": False,
        "server_name": settings.host or None,
        "server_port": settings.port or None,
    }


def _theme() -> gr.themes.Base:
    """One accent color; fonts of the reader's own system, so that no foreign host is asked."""
    font = ["system-ui", "sans-serif"]
    return gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=font,
        font_mono=["ui-monospace", "monospace"],
    )
