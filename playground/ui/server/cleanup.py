"""What a server that runs for months lets go of: files that are old, and sessions of which nothing is remembered.

Gradio deletes what it knows of by the clock on the wall, and sessions when there are ten thousand. Knows
Gradio's books, no component.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from playground.inference.memory import return_memory
from playground.ui.server.disk import Disk
from playground.ui.server.tabs import OpenTabs

_NUM_CLOSED = 64  # sessions whose page is not open, or not open yet, that are remembered: each takes 180 KB


def cleanup(disk: Disk, tabs: OpenTabs, *, every_seconds: float) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return the life of a served app: old files that nobody uses are deleted."""

    async def go_round(app: Any) -> None:
        while True:
            await asyncio.sleep(every_seconds)
            await asyncio.to_thread(disk.sweep)
            forget_files(app.get_blocks())
            forget_sessions(app.state_holder, every_seconds)
            forget_messages(app.get_blocks()._queue, app.state_holder)
            await asyncio.to_thread(return_memory)

    @asynccontextmanager
    async def life(app: Any) -> AsyncIterator[None]:
        forget_at_once(app, tabs)
        disk.in_use = lambda: files_in_use(app, tabs.sessions()) | disk.made_for(tabs.sessions())
        task = asyncio.create_task(go_round(app))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return life


def forget_at_once(app: Any, tabs: OpenTabs) -> None:
    """Let a session whose page is not open end with its call, so that nothing is kept for names that are invented.

    One that holds something is kept for a while: a page asks before its heartbeat is heard, and that may break off.
    """
    blocks, holder = app.get_blocks(), app.state_holder
    process = blocks.process_api
    going: Counter[str] = Counter()

    def let_go(name: str) -> None:
        session = holder.session_data.get(name)
        if session is None or going[name] or name in tabs.sessions():
            return
        if session.state_data:
            kept = {*tabs.sessions(), *going}
            closed = [other for other in list(holder.session_data) if other not in kept]  # the last used comes last
            for old in closed[:-_NUM_CLOSED]:
                _forget(holder, old)
        else:
            _forget(holder, name)

    async def process_and_forget(*arguments: Any, **options: Any) -> Any:
        name, is_going_on = options.get("session_hash"), False
        if not name:
            return await process(*arguments, **options)
        going[name] += 1
        try:
            output = await process(*arguments, **options)
            is_going_on = output.get("is_generating", False)
            return output
        finally:
            going[name] -= 1
            if not going[name]:
                del going[name]
            if not is_going_on:
                let_go(name)

    blocks.process_api = process_and_forget
    tabs.when_closed = let_go


def hold_files(blocks: Any, files: Callable[[], Collection[str]]) -> None:
    """Let the files that `files` returns stay on the disk of an app, whatever tabs are open."""
    blocks.files_held = files


def when_closed(blocks: Any, end: Callable[[], None]) -> None:
    """Have `end` called when an app is closed, before the server ends."""
    blocks.ended_first = end


def close(blocks: Any) -> None:
    """Close an app that is served."""
    try:
        getattr(blocks, "ended_first", lambda: None)()
    finally:
        if app := getattr(blocks, "app", None):  # it was launched
            _end_streams(app.stop_event)
        blocks.close(verbose=False)


def _end_streams(event: asyncio.Event) -> None:
    """Tell the streams that they are to end, as Gradio does, whose event is another thread's.

    Who goes just then ends the walk over those who wait, and Gradio would not close its server.
    """
    while True:
        try:
            event.set()
            return
        except RuntimeError:  # deque mutated during iteration
            event.clear()


def files_in_use(app: Any, open_tabs: Collection[str]) -> set[str]:
    """Return the page's own files, and those that open tabs hold: whatever a state of theirs has as its `files`.

    Beside them, what `hold_files` was told of.
    """
    used = {*getattr(app.get_blocks(), "files_held", tuple)()}
    used |= {file for block in list(app.get_blocks().blocks.values()) for file in getattr(block, "keep_in_cache", ())}
    for name in open_tabs:
        session = app.state_holder.session_data.get(name)
        for value in list(session.state_data.values()) if session else ():
            used.update(getattr(value, "files", ()))
    return used


def forget_files(blocks: Any) -> None:
    """Empty Gradio's own lists of what it would delete: they grow with every file."""
    for known in list(blocks.temp_file_sets):
        known.clear()


def forget_sessions(holder: Any, seconds: float) -> None:
    """Drop the sessions that were not used for so long and hold nothing: calls of the API, tabs closed an hour ago.

    Each is a copy of the whole page's configuration, of 140 KB.
    """
    now = datetime.now()
    for name, session in list(holder.session_data.items()):
        is_idle = (now - holder.time_last_used.get(name, now)).total_seconds() > seconds
        if is_idle and not session.state_data:
            _forget(holder, name)


def _forget(holder: Any, name: str) -> None:
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
