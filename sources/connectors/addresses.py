"""Which addresses a source may make us talk to: the internet, and of the company's own network what an admin allows.

Whoever may edit a source could otherwise read our neighbours through us: databases, dashboards, the cloud's metadata
service with its keys. A name says nothing about where it leads, so what is checked is the address that the connection
is about to be made to, and the connection is made to that very address: a name that answers differently the second
time (DNS rebinding) gains nothing. Host header, SNI and certificate stay those of the name.

| the address                                                  | allowed                                         |
|--------------------------------------------------------------|-------------------------------------------------|
| public                                                       | always                                          |
| loopback, private (RFC 1918, fc00::/7), shared (100.64/10)   | when the host is on the list of allowed hosts   |
| link-local and metadata services                             | when exactly this address is on the list        |
| multicast, unspecified, an IPv6 wrapping of one of the above | as what it wraps; multicast and 0.0.0.0 never   |
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from portal.failures import TerminalError

# The key of the settings under which the portal hands a source the hosts that an admin allows; no form can set it.
ALLOWED_HOSTS = "_allowed_hosts"

Address = IPv4Address | IPv6Address
Resolve = Callable[..., list[Any]]  # as socket.getaddrinfo

METADATA = {
    ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
}
_GLOBAL_6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# 2130706433, 0x7f.1, 0177.0.0.1, 127.1: spellings of an IPv4 address that nobody uses who means well.
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)


class Guard:
    """Says where a connection may go. `allowed`: host names or addresses, each with `:port` or for every port."""

    def __init__(self, allowed: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        self.allowed = frozenset(_canonical(entry) for entry in allowed)
        self._resolve = resolve

    def check_url(self, url: str) -> None:
        """Raises `TerminalError` for an address that no request may go to, without looking its name up."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _refused("is not a web address", url) from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise _refused("must begin with https:// or http:// and name a host", url)
        if parts.username is not None or parts.password is not None or "\\" in url:
            raise TerminalError(
                "The address holds a user name or password before the host. Leave it out and use the fields for the "
                "log-in.",
                kind="address",
            )
        self.check_host(parts.hostname, port or (443 if parts.scheme == "https" else 80))

    def check_host(self, host: str, port: int) -> None:
        """What can be said of `host` by its spelling alone."""
        name = host.lower().rstrip(".")
        if (literal := _literal(host)) is not None:
            self._check(literal, host, port)
        elif name == "localhost" or name.endswith(".localhost"):
            self._check(IPv4Address("127.0.0.1"), host, port)
        elif _NUMBERS.fullmatch(host):
            raise _refused("is an address in an unusual spelling; write it as four numbers with dots", host)

    def addresses(self, host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
        """(family, socket address) of `host`, looked up once and every one of them checked.

        Raises `TerminalError` when one of them is out of bounds, `socket.gaierror` when there is no such name.
        """
        self.check_host(host, port)
        resolve = self._resolve or socket.getaddrinfo
        found = [(entry[0], entry[4]) for entry in resolve(host, port, type=socket.SOCK_STREAM)]
        for _, address in found:
            self._check(ip_address(str(address[0]).partition("%")[0]), host, port)
        return found

    def _check(self, address: Address, host: str, port: int) -> None:
        real = _unwrapped(address)
        if real.is_multicast or real.is_unspecified:
            raise _refused("is not the address of a system", host, real)
        if _is_public(real):
            return
        if _literal(host) is not None:
            allowed = self._lists(str(real), port)
        else:
            # A name is allowed by its name: that 10.0.0.5 may be reached says nothing of the names that lead there.
            never_by_name = real.is_link_local or real in METADATA
            allowed = not never_by_name and self._lists(host.lower().rstrip("."), port)
        if not allowed:
            raise _refused("is inside the company's own network", host, real)

    def _lists(self, host: str, port: int) -> bool:
        return bool({host, f"{_bracketed(host)}:{port}"} & self.allowed)


_current: ContextVar[Guard | None] = ContextVar("address_guard", default=None)


@contextmanager
def guarding(settings: Mapping[str, Any]) -> Iterator[None]:
    """Within this block every new `ApiClient` keeps to what these settings allow; without a list it may go anywhere."""
    allowed = settings.get(ALLOWED_HOSTS)
    token = _current.set(None if allowed is None else Guard(allowed))
    try:
        yield
    finally:
        _current.reset(token)


def current_guard() -> Guard | None:
    return _current.get()


def canonical_host(text: str) -> str:
    """A host as the list keeps it; raises `ValueError` for what is none."""
    host = text.strip().lower().rstrip(".")
    literal = _literal(host)
    if literal is not None:
        return str(_unwrapped(literal))
    if _NUMBERS.fullmatch(host) or not re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_-]+)*", host):
        raise ValueError("not a host name")
    return host


def _canonical(entry: str) -> str:
    host, colon, port = entry.strip().lower().rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return f"{host.rstrip('.')}:{port}"
    return entry.strip().lower().strip("[]").rstrip(".")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that carries it (mapped, compatible, 6to4, Teredo, NAT64), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (1 < int(address) < 2**32):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if address in METADATA or not address.is_global or address.is_reserved:
        return False
    return isinstance(address, IPv4Address) or address in _GLOBAL_6


def _refused(why: str, host: str, address: Address | None = None) -> TerminalError:
    where = urlsplit(host).hostname or host if "://" in host else host
    help_ = (
        " An administrator of this portal can allow it under “Allowed internal hosts”."
        if "network" in why
        else " Check the address."
    )
    return TerminalError(
        f"“{where[:120]}” {why}, so nothing was sent there.{help_}",
        f"{where[:120]} → {address}" if address else "",
        kind="address",
    )
