"""For which call of Gradio's queue a handler is called, and which handlers are tools. Knows no handler."""

from typing import Any

from gradio.context import LocalContext


def queue_and_event() -> tuple[Any, Any]:
    """Return the queue and the event for which the caller is called; None where Gradio does not call it."""
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    queue: Any = blocks._queue if blocks is not None else None
    # An empty queue counts as false.
    return queue, queue.event_ids_to_events.get(event_id) if queue is not None and event_id else None


def no_tool(handler: Any) -> Any:
    """Keep an endpoint out of the MCP server, where Gradio would make a tool of every public one."""
    handler._mcp_type = "none"  # the mark that `gradio.mcp` reads: anything but "tool"
    return handler
