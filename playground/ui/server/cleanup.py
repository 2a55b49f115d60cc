"""What a server that runs for months lets go of: files that are old, and sessions of which nothing is remembered.

Gradio does the first, and stops for good when another thread makes a file at the wrong moment; it does not do the
second before there are ten thousand. Knows Gradio's books, no component.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from playground.inference.memory import return_memory


def cleanup(*, every_seconds: float, keep_seconds: float) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return the life of a served app: files older than `keep_seconds` are deleted, and all at its end."""

    async def go_round(app: Any) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            await asyncio.to_thread(delete_files, app.get_blocks(), keep_seconds)
            forget_sessions(app.state_holder, every_seconds)
            forget_messages(app.get_blocks()._queue, app.state_holder)
            await asyncio.to_thread(return_memory)

    @asynccontextmanager
    async def life(app: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(go_round(app))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            delete_files(app.get_blocks(), 0)

    return life


def delete_files(blocks: Any, seconds: float) -> None:
    """Delete what was uploaded or made so many seconds ago, but for the page's own files."""
    kept = {file for block in list(blocks.blocks.values()) for file in getattr(block, "keep_in_cache", ())}
    for known in list(blocks.temp_file_sets):
        for file in known.copy() - kept:  # a set is copied in one step, whatever other threads add
            try:
                if time.time() - os.lstat(file).st_ctime < seconds:
                    continue
                os.remove(file)
            except FileNotFoundError:
                pass
            except OSError:
                continue  # the next round tries it again
            known.discard(file)


def forget_sessions(holder: Any, seconds: float) -> None:
    """Drop the sessions that were not used for so long and hold nothing: calls of the API, tabs closed an hour ago.

    Each is a copy of the whole page's configuration, of 140 KB.
    """
    now = datetime.now()
    for name, session in list(holder.session_data.items()):
        is_idle = (now - holder.time_last_used.get(name, now)).total_seconds() > seconds
        if is_idle and not session.state_data:
            with holder.lock:
                holder.session_data.pop(name, None)
                holder.time_last_used.pop(name, None)


def forget_messages(queue: Any, holder: Any) -> None:
    """Drop the books of sessions that are forgotten: of those that have read all, and of those that were cut off.

    An answer that nobody has come for yet stays; Gradio keeps those of 2000 sessions.
    """
    told, asked = queue.pending_messages_per_session, queue.pending_event_ids_session
    for name in {*told, *asked} - holder.session_data.keys():
        events = asked.get(name, ())
        is_cut_off = name not in told and not any(event in queue.event_ids_to_events for event in events)
        if not events or is_cut_off:
            told.pop(name, None)
            asked.pop(name, None)
