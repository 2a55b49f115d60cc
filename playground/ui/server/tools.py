"""The tools of the MCP server: those that are meant to be some. Imported only where there is such a server.

Gradio leaves the other endpoints out of its list of tools, and answers whoever calls them all the same. It asks this
server itself for a tool that waits in the queue, where the visitor would be lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from gradio import mcp
from gradio_client import client

from playground.ui.server.visitors import carried, visitor_of

_mcp: Any = mcp
_client: Any = client


class _OnlyTools(_mcp.GradioMCPServer):  # type: ignore[misc]  # Gradio's own is untyped
    def get_tool_to_endpoint(self) -> dict[str, str]:
        endpoints: dict[str, str] = super().get_tool_to_endpoint()
        return {name: endpoint for name, endpoint in endpoints.items() if self._is_tool(endpoint)}

    def get_input_schema(self, *arguments: Any, **options: Any) -> Any:
        self.api_info = self.blocks.get_api_info()  # Gradio asks once; a checkpoint that comes later brings its tasks
        return super().get_input_schema(*arguments, **options)

    def _prepare_tool_call_args(self, name: str, arguments: dict[str, Any]) -> tuple[Any, ...]:
        takes = self.get_input_schema(name)[0]["properties"]
        for argument in arguments.keys() - takes.keys():
            raise ValueError(f"{name} takes no {argument[:80]!r}. It takes {', '.join(takes) or 'nothing'}.")
        endpoint, data, headers, function = super()._prepare_tool_call_args(name, arguments)
        return endpoint, data, headers | carried(visitor_of(self.mcp_server.request_context.request)), function

    async def _execute_tool_without_progress(self, job: Any) -> Any:
        with _telling_why():
            return await super()._execute_tool_without_progress(job)

    async def _execute_tool_with_progress(self, job: Any, progress_token: str | int) -> Any:
        with _telling_why():
            return await super()._execute_tool_with_progress(job, progress_token)

    def _is_tool(self, endpoint: str) -> bool:
        function = self.get_block_fn_from_endpoint_name(endpoint).fn
        return bool(getattr(function, "_mcp_type", "tool") == "tool")


@contextmanager
def _telling_why() -> Iterator[None]:
    """Tell the sentence of a refusal, of which the client by which this server asks itself tells the status alone."""
    try:
        yield
    except Exception as error:
        response = getattr(error, "response", None)
        if response is None or response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            raise
        raise RuntimeError(response.json()["detail"]) from None


def offer_only_tools() -> None:
    """Let every MCP server of this process know its tools, and nothing else."""
    _mcp.GradioMCPServer = _OnlyTools
    # The client by which it asks this server would send the token for the hub along, and ask the hub for its own name.
    _client.build_hf_headers = lambda **_: {}
