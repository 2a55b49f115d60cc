"""What is uploaded goes into a folder of the visitor's, if there is room; what is broken off leaves nothing.

Gradio puts all uploads into one folder, forgets those that are aborted, and answers a full disk with a bare 500.
Knows how Gradio takes an upload, no component.
"""

import asyncio
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradio import routes
from starlette.requests import ClientDisconnect

from playground.errors import StorageFull
from playground.ui.server.disk import Disk, disk_of, storage_errors

_routes: Any = routes
_take = _routes.upload_fn


async def _take_upload(request: Any, upload_dir: str, max_file_size: float, *options: Any, **named: Any) -> Any:
    disk = disk_of(upload_dir)
    folder = disk.folder_of(request) / secrets.token_hex(8)
    try:
        with storage_errors():
            await _make_room(disk, folder.parent, request, max_file_size)
            taken = await _take(request, str(folder), max_file_size, *options, **named)
        _remove_unfinished(folder)  # parts of another name than that of files, which Gradio writes and forgets
        return taken
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, StorageFull):
            # Who still sends does not read what it is told. The error of the second kind: all of it has come.
            with suppress(ClientDisconnect, RuntimeError):
                async for _ in request.stream():
                    pass
        raise


async def _make_room(disk: Disk, visitor: Path, request: Any, max_file_size: float) -> None:
    length = request.headers.get("content-length", "")
    num_bytes = int(length) if length.isdigit() else int(min(max_file_size, 1e12))
    await asyncio.to_thread(disk.make_room, visitor, num_bytes)


def _remove_unfinished(folder: Path) -> None:
    for entry in folder.iterdir():
        if not entry.is_dir():
            entry.unlink(missing_ok=True)


def keep_uploads_apart() -> None:
    """Let every upload of this process be taken so."""
    _routes.upload_fn = _take_upload
