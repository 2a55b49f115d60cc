"""Who sent a request, and under which name this server is known: headers count only from a proxy that is named.

Knows requests, nothing of what they ask.
"""

import hmac
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from playground.errors import SettingsInvalid
from playground.settings import Settings, is_this_machine

_ANY = "*"
_IPV6_OF_ONE = 64  # bits: a household or a host is given that many addresses at least
CARRIED = "x-playground-visitor"  # the header of a request that this program sends to itself for a visitor
_SECRET = secrets.token_hex(16)


def visitor_of(request: Any) -> str:
    """Return what names the visitor of a request; `Doors` has put it there."""
    return getattr(getattr(request, "client", None), "host", "") or ""


@dataclass(frozen=True)
class Proxies:
    """The proxies that are believed, and the names of this server. Raises SettingsInvalid for what is no network."""

    settings: Settings

    def __post_init__(self) -> None:
        """Say at the start what cannot be, not to the first visitor."""
        _ = self._networks
        for name in _names(self.settings.allowed_hosts):
            if re.fullmatch(r"\*|(\*\.)?[\w.-]+|\[?[0-9a-f:]+\]?", name) is None:
                raise SettingsInvalid(
                    "PLAYGROUND_ALLOWED_HOSTS must be names alone, such as demo.example.org, *.example.net, or *, but "
                    f"got {name!r}."
                )

    @cached_property
    def _networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        try:
            return tuple(ip_network(name) for name in _names(self.settings.trusted_proxies) if name != _ANY)
        except ValueError as error:
            raise SettingsInvalid(
                f"PLAYGROUND_TRUSTED_PROXIES must be addresses or networks, such as 127.0.0.1, or *, but {error}."
            ) from None

    def are_trusted(self, address: str) -> bool:
        """Whether this peer is a proxy that is believed."""
        if _ANY in _names(self.settings.trusted_proxies):
            return True
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def may_be(self, address: str) -> bool:
        """Whether this peer may speak for many visitors: a named proxy, or one beside this server that nobody named."""
        return self.are_trusted(address) or (is_this_machine(address) and not _names(self.settings.trusted_proxies))

    def visitor(self, peer: str, forwarded: Iterable[str]) -> str:
        """Return the visitor's address: of what the trusted proxies have written, the last that is none of theirs.

        `forwarded` are the lines of the header; what stands before that, the visitor may have written.
        """
        if not self.are_trusted(peer):
            return _of_one(peer)
        chain = [_without_port(part) for line in forwarded for part in line.split(",") if part.strip()]
        is_anyone = _ANY in _names(self.settings.trusted_proxies)
        for address in reversed(chain):
            if is_anyone or not self.are_trusted(address):
                return _of_one(address)
        return _of_one(peer)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The names under which this server may be asked for, in lower case, without a port."""
        own = {"localhost", self.settings.host, *_names(self.settings.allowed_hosts), *_names(self.settings.space_host)}
        if self.settings.host:
            own |= {socket.gethostname(), socket.getfqdn()}
        return frozenset(name.lower() for name in own if name)

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` names this server: an address does, which no foreign name can be made to mean."""
        name = _without_port(host).lower()
        is_wild = any(own.startswith("*.") and name.endswith(own[1:]) for own in self.hosts)
        return name in self.hosts or _ANY in self.hosts or is_wild or _parsed(name) is not None

    def knows_origin(self, origin: str, hosts: Iterable[str]) -> bool:
        """Whether a page of this origin may send something: one of this server, or of a host that the settings name."""
        host = origin.lower().partition("://")[2]
        named = frozenset(_names(self.settings.allowed_hosts)) | frozenset(_names(self.settings.space_host))
        return host in hosts or (_without_port(host) in named and _parsed(_without_port(host)) is None)


def carried(visitor: str) -> dict[str, str]:
    """Return the header in which this program says to itself for whom it asks."""
    return {CARRIED: f"{_SECRET} {visitor}"}


def read_carried(lines: list[str]) -> str:
    """Return the visitor whom this program has named to itself; nothing where anybody else has written the header."""
    secret, _, visitor = lines[0].partition(" ") if len(lines) == 1 else ("", "", "")
    return visitor if hmac.compare_digest(secret.encode(), _SECRET.encode()) else ""


def is_forwarded(request: Any) -> bool:
    """Whether a proxy has passed a request on, as far as it says so: then it may come from anywhere."""
    return any("forwarded" in name.lower() for name in request.headers)


def is_near(address: str) -> bool:
    """Whether this is an address of the machine or of a network of one's own."""
    parsed = _parsed(address)
    return parsed is not None and parsed.is_private


def header_lines(headers: Iterable[tuple[bytes, bytes]], name: str) -> list[str]:
    """Return the lines of a header, which may come several times."""
    return [value.decode("latin-1") for key, value in headers if key == name.lower().encode()]


def _names(text: str) -> list[str]:
    return [name.strip().lower() for name in text.split(",") if name.strip()]


def _without_port(text: str) -> str:
    text = text.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _parsed(address: str) -> Any:
    try:
        return ip_address(address.partition("%")[0])
    except ValueError:
        return None


def _of_one(address: str) -> str:
    """Return an address as it is counted; of IPv6, the part that one visitor cannot choose."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address) and not parsed.is_loopback:
        return str(parsed.ipv4_mapped or ip_network((int(parsed), _IPV6_OF_ONE), strict=False).network_address)
    return str(parsed) if parsed else address[:64]
