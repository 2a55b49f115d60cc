"""Where to listen, found out before anything is started, so that what cannot be is one sentence. Knows only sockets."""

import errno
import os
import socket
from typing import NoReturn

from playground.errors import SettingsInvalid

FIRST_PORT = 7860
_NUM_PORTS = 100
_MAX_PORT = 65535


def address_to_listen_on(host: str, port: int) -> tuple[str, int]:
    """Return the host as Gradio wants it, and the port, or the next free one where none is named.

    Raises SettingsInvalid for a host that is none of this machine, and for a port that cannot be had.
    """
    name = host.strip().removeprefix("[").removesuffix("]") or "127.0.0.1"
    if port > _MAX_PORT:
        raise SettingsInvalid(
            f"--port must be at most {_MAX_PORT}, but got {port}. Leave it out for the next free one."
        )
    addresses = _addresses(name)
    for candidate in [port] if port else range(FIRST_PORT, FIRST_PORT + _NUM_PORTS):
        error = _try(addresses, candidate)
        if error is None:
            return (f"[{name}]" if ":" in name else name), candidate
        if port or error.errno != errno.EADDRINUSE:
            _refuse(error, name, candidate)
    raise SettingsInvalid(
        f"The ports {FIRST_PORT} to {FIRST_PORT + _NUM_PORTS - 1} are all taken. Name a free one with --port."
    )


def url_of(host: str, port: int) -> str:
    """Return the address to open in a browser of this machine."""
    everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
    return f"http://{everywhere.get(host, host)}:{port}"


_Address = tuple[int, str]  # the family, and the number


def _addresses(name: str) -> list[_Address]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SettingsInvalid(
            f"--host {name} is not known on this machine. Leave it out for this machine only, or use 0.0.0.0 to let "
            "others in."
        ) from None
    return list(dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found))


def _try(addresses: list[_Address], port: int) -> OSError | None:
    """Return what keeps a server from listening, or None: a name with two addresses needs but one of them."""
    errors = []
    for family, address in addresses:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                if os.name == "posix":  # as the server does: a port that has just been left is free
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, port))
        except OSError as error:
            errors.append(error)
    taken = [error for error in errors if error.errno == errno.EADDRINUSE]
    return taken[0] if taken else errors[0] if len(errors) == len(addresses) else None


def _refuse(error: OSError, name: str, port: int) -> NoReturn:
    if error.errno == errno.EADDRINUSE:
        raise SettingsInvalid(
            f"Port {port} is taken by another program. Name another with --port, or leave it out for the next free one."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        raise SettingsInvalid(f"This user may not listen on port {port}. Name one above 1023 with --port.")
    raise SettingsInvalid(
        f"--host {name} is no address of this machine ({error.strerror}). Leave it out for this machine only, or use "
        "0.0.0.0 to let others in."
    )
