"""Connections for `requests` that go only where an address guard lets them, to the very address it has checked."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from sources.connectors.addresses import Guard


class GuardedAdapter(HTTPAdapter):
    """An adapter whose connections ask the guard. Behind a company's proxy the proxy connects: there names are checked."""

    def __init__(self, guard: Guard, **options: Any) -> None:
        self.guard = guard
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self.guard)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        url = request.url or ""
        self.guard.check_url(url)
        if select_proxy(url, kwargs.get("proxies")):
            self._check_name(url)
        return super().send(request, *args, **kwargs)

    def _check_name(self, url: str) -> None:
        parts = urlsplit(url)
        with suppress(socket.gaierror):  # a name that only the proxy knows
            self.guard.addresses(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def _pools(guard: Guard) -> dict[str, Any]:
    class Plain(_Checked, HTTPConnection):
        pass

    class Secure(_Checked, HTTPSConnection):
        pass

    Plain.guard = Secure.guard = guard
    http = type("GuardedHTTPPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
    https = type("GuardedHTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": Secure})
    return {"http": http, "https": https}


class _Checked:
    """Looks the name up once, has every address checked, and connects to one of those; TLS still verifies the name."""

    guard: Guard

    def _new_conn(self: Any) -> socket.socket:
        try:
            addresses = self.guard.addresses(self._dns_host, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        problem: OSError | None = None
        for family, address in addresses:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(self.timeout)
                sock.connect(address)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        if isinstance(problem, TimeoutError):
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from problem
        raise NewConnectionError(self, f"Failed to establish a new connection: {problem}") from problem
