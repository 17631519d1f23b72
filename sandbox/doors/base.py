"""What all doors share: a threaded HTTP server on loopback, a request log, faults, and the control paths.

Control (no key needed, loopback only):
``POST /_sandbox/faults`` {"service", "kind", "count", "retry_after", "after", "seconds", "path", "field", "how"} (see
``sandbox.faults``) · ``DELETE`` clears · ``GET /_sandbox/requests`` counts and the last requests · ``POST /_sandbox/advance?hours=…`` moves the world on ·
``GET /_sandbox/status``.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from sandbox.doors.spoil import CHANGES, skew, spoil
from sandbox.faults import Fault, Faults

logger = logging.getLogger(__name__)
_LOG_LENGTH = 20_000
#: Faults of a request that is answered all the same.
_ANSWERED = {"truncate", "cut_short", "clock_skew", *CHANGES}


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came in. ``fault`` is the kind of misbehaviour it met, if any."""

    method: str
    path: str
    query: dict[str, list[str]]
    status: int
    fault: str | None


class _Dropped(ConnectionError):
    """The connection was ended on purpose."""


class _Handler(WSGIRequestHandler):
    # headers and body are two writes; without this each answer waits 40 ms for an acknowledgement
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        logger.debug(message, *args)

    def send_response(self, code: int, message: str | None = None) -> None:
        # without the Date that the parent class adds: a door's clock may be off, so it says the time itself
        self.log_request(code)
        self.send_response_only(code, message)

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        # without this the server would wait on the same connection for another request
        self.close_connection = True


class _Server(ThreadedWSGIServer):
    def shutdown_request(self, request: Any) -> None:
        """End a connection: politely, or with a reset where lingering was switched off."""
        lingers, _ = struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        if lingers:
            self.close_request(request)
        else:
            super().shutdown_request(request)


class Door:
    """One vendor's API. Subclasses answer requests in ``respond`` and know their vendor's errors in ``refuse``."""

    service = ""

    def __init__(self) -> None:
        self.faults = Faults()
        self.requests: deque[Seen] = deque(maxlen=_LOG_LENGTH)
        self._counts: Counter[str] = Counter()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        #: Answers ``/_sandbox/...``; set by whoever runs the doors.
        self.control: Callable[[Request], Response] | None = None
        self.base_url = ""

    # -- server ----------------------------------------------------------------------------------------------------

    def listen(self, port: int = 0) -> int:
        """Begin to serve on 127.0.0.1; a port that is taken is replaced by a free one. Returns the port."""
        if port and not _is_free(port):
            port = 0
        self._server = _Server("127.0.0.1", port, self, handler=_Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"door-{self.service}", daemon=True
        )
        self._thread.start()
        return self._server.server_port

    def close(self) -> None:
        """Stop serving; a slow answer under way is cut short."""
        self._closing.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._server = self._thread = None

    # -- requests --------------------------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith("/_sandbox/") and self.control is not None:
            return self.control(request)(environ, start_response)
        fault = self.faults.take(request.path)
        if fault is not None and fault.kind == "reset":
            self._note(request, 0, fault)
            _reset(environ["werkzeug.socket"])
            raise _Dropped
        response = self._answer(request, fault)
        response.headers.setdefault("Date", formatdate(usegmt=True))
        self._note(request, response.status_code, fault)
        if fault is not None and fault.kind == "truncate":
            whole = response.get_data()
            response.headers["Content-Length"] = str(len(whole))
            response.headers["Connection"] = "close"
            response.response = _half(whole)
        return response(environ, start_response)

    def _answer(self, request: Request, fault: Fault | None) -> Response:
        if fault is not None and fault.kind == "slow":
            self._closing.wait(fault.seconds)
        elif fault is not None and fault.kind not in _ANSWERED:
            # what a storm consists of is each vendor's own 429
            return self.refuse(request, replace(fault, kind="429", count=None) if fault.kind == "storm" else fault)
        try:
            response = self.respond(request)
        except HTTPException as error:
            response = error.get_response()
        if fault is not None and response.status_code == 200:
            self._spoil(response, fault)
        return response

    def _spoil(self, response: Response, fault: Fault) -> None:
        if fault.kind == "cut_short":
            self.cut_short(response)
        elif fault.kind == "clock_skew":
            skew(response, fault.seconds, time.time())
        elif fault.kind in CHANGES:
            spoil(response, fault)

    def cut_short(self, response: Response) -> None:
        """Keep half of the body, in a way that only the body shows."""
        whole = response.get_data()
        response.set_data(whole[: len(whole) // 2])

    def _note(self, request: Request, status: int, fault: Fault | None) -> None:
        query = {key: request.args.getlist(key) for key in request.args}
        self.requests.append(Seen(request.method, request.path, query, status, fault.kind if fault else None))
        self._counts[request.path] += 1

    def count(self, path: str = "") -> int:
        """How many requests came in whose path contains this text."""
        return sum(number for seen, number in list(self._counts.items()) if path in seen)

    def forget_requests(self) -> None:
        """Begin counting again."""
        self.requests.clear()
        self._counts.clear()

    def endpoint(self) -> dict[str, Any]:
        """Address and key, by the names a client's settings have for them."""
        raise NotImplementedError

    def respond(self, request: Request) -> Response:
        """Answer a request that goes well."""
        raise NotImplementedError

    def refuse(self, request: Request, fault: Fault) -> Response:
        """Answer with the vendor's own error."""
        raise NotImplementedError


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    text = json.dumps(body, separators=(",", ":"))
    return Response(text, status=status, headers=headers or {}, content_type="application/json; charset=utf-8")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _reset(connection: socket.socket) -> None:
    # lingering for 0 seconds makes the kernel send RST instead of FIN when the connection is closed
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _half(whole: bytes) -> Iterator[bytes]:
    yield whole[: len(whole) // 2]
    raise _Dropped
