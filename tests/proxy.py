"""A reverse proxy as small ones are: it speaks TLS, takes a sub-path off, and says nothing of whom it speaks for."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import trustme

_HEADERS = 65_536  # bytes


@contextmanager
def proxy(server: str, *, path: str = "", is_secure: bool = False, headers: tuple[str, ...] = ()) -> Iterator[int]:
    """Stand in front of `server`, as "127.0.0.1:7860"; gives the port. `headers` are the lines that it adds."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("demo.example.org").configure_cert(context)

    def serve(client: socket.socket) -> None:
        host, port = server.split(":")
        with suppress(OSError), client, socket.create_connection((host, int(port))) as upstream:
            visitor = context.wrap_socket(client, server_side=True) if is_secure else client
            upstream.sendall(_rewritten(visitor, server, path, headers))
            back = Thread(target=_pump, args=(visitor, upstream), daemon=True)
            back.start()
            _pump(upstream, visitor)

    def accept() -> None:
        with suppress(OSError):
            while True:
                Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _rewritten(visitor: socket.socket, server: str, path: str, headers: tuple[str, ...]) -> bytes:
    """Return what goes on to the server: one request a connection, under the server's own name."""
    came = b""
    while b"\r\n\r\n" not in came and len(came) < _HEADERS and (part := visitor.recv(_HEADERS)):
        came += part
    head, _, body = came.partition(b"\r\n\r\n")
    request, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = request.split(" ")
    kept = [line for line in lines if line.partition(":")[0].lower() not in ("host", "connection")]
    answered = [f"{method} {target.removeprefix(path) or '/'} {version}", f"Host: {server}", "Connection: close"]
    return "\r\n".join([*answered, *headers, *kept, "", ""]).encode("latin-1") + body


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65_536):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
