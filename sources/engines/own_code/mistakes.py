"""What went wrong in a company's own code: where in *their* file, in one line, and their part of the traceback.

Runs in the child; the worker redacts what comes out of here before it is kept anywhere.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sources.engines.own_code.refusals import Refused

_LONGEST = 300  # characters of a sentence that come from an exception
# By name, so that libraries which the code does not use are not imported for it.
_NETWORK = {
    "requests.exceptions.ConnectionError",
    "requests.exceptions.Timeout",
    "requests.exceptions.ChunkedEncodingError",
    "urllib3.exceptions.HTTPError",
    "httpx.TransportError",
    "aiohttp.client_exceptions.ClientConnectionError",
    "aiohttp.client_exceptions.ClientPayloadError",
    "http.client.IncompleteRead",
    "builtins.ConnectionError",
    "builtins.TimeoutError",
    "socket.gaierror",
}
_MISSING = "ConfigFieldMissingException"
_CERTIFICATE = "ssl.SSLCertVerificationError"


class StreamsError(Exception):
    """A mistake that belongs to some streams only; `__cause__` is the mistake, if there is one."""

    def __init__(self, streams: list[str], sentence: str = "") -> None:
        super().__init__(sentence)
        self.streams = streams


def describe(error: BaseException, order: Mapping[str, Any]) -> dict[str, Any]:
    """`error` as plain data: sentence, detail, kind, whether it may pass, and the streams that it belongs to."""
    path = Path(order["path"])
    chain = list(_chain(error))
    streams = next((each.streams for each in chain if isinstance(each, StreamsError)), [])
    own, frames = _own(chain, path)
    where = f"{frames[-1][0]}, line {frames[-1][1]}" if frames else _roughly(chain, path)
    found: dict[str, Any] = {"streams": streams, "kind": "code", "is_transient": False, "retry_after": None}
    found |= {"detail": _detail(own, path)}
    said = next((each for each in chain if isinstance(each, StreamsError) and str(each)), None)
    if said is not None and said.__cause__ is None:
        return found | {"sentence": str(said), "kind": "stream_gone", "detail": ""}
    if isinstance(error, Refused):
        return found | error.as_failure(path.name)
    missing = next((each for each in chain if type(each).__name__ == _MISSING), None)
    if missing is not None:
        names = ", ".join(f"“{name}”" for name in getattr(missing, "fields", [])) or "a setting"
        sentence = f"{where}: it asks for {names}, which is not filled in. Enter it in the source's form."
        return found | {"sentence": sentence, "kind": "settings"}
    if (network := _network(chain)) is not None:
        words, kind, is_transient, wait = network
        return found | {
            "sentence": f"{where}: {words}",
            "kind": kind,
            "is_transient": is_transient,
            "retry_after": wait,
        }
    return found | {"sentence": f"{where}: {_in_words(own)}"}


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _own(chain: list[BaseException], path: Path) -> tuple[BaseException, list[tuple[str, int]]]:
    """The exception as their code saw it, and the places in their files it came through, the innermost last."""
    for each in chain:
        if isinstance(each, SyntaxError) and each.filename and Path(each.filename).parent == path.parent:
            return each, [(Path(each.filename).name, each.lineno or 1)]
        places = [
            (Path(frame.filename).name, frame.lineno or 1)
            for frame in traceback.extract_tb(each.__traceback__)
            if Path(frame.filename).parent == path.parent
        ]
        if places:
            return each, places
    return chain[-1], []


def _roughly(chain: list[BaseException], path: Path) -> str:
    """dlt tripped over what the code had handed out: the resource at least, and where it begins."""
    from sources.connectors.own_code_reading import read

    name = next(filter(None, (resource_in(each) for each in chain)), "")
    line = read(path.read_text(encoding="utf-8"), path.name).lines.get(name) if name else None
    if line:
        return f"{path.name}, in “{name}” (from line {line})"
    return f"{path.name}, in “{name}”" if name else path.name


def resource_in(error: BaseException) -> str:
    """The resource dlt was at work on when `error` was raised; "" when nobody knows."""
    if name := getattr(error, "pipe_name", "") or getattr(error, "resource_name", ""):
        return str(name)
    for frame, _ in traceback.walk_tb(error.__traceback__):
        resource = frame.f_locals.get("resource")
        if type(resource).__name__ == "DltResource":
            return str(getattr(resource, "name", ""))
    return ""


def _detail(own: BaseException, path: Path) -> str:
    """Their traceback from their first line on: what is ours or dlt's above it helps nobody."""
    frames = list(traceback.extract_tb(own.__traceback__))
    first = next((at for at, frame in enumerate(frames) if Path(frame.filename).parent == path.parent), None)
    # What dlt says of a missing setting is a page about files that have no part in this.
    is_missing = type(own).__name__ == _MISSING
    lines = [f"{_MISSING}\n"] if is_missing else traceback.format_exception_only(type(own), own)
    if first is None:
        return "".join(lines)
    for frame in frames:
        if Path(frame.filename).parent == path.parent:
            frame.filename = Path(frame.filename).name
    return "".join(["Traceback:\n", *traceback.format_list(frames[first:]), *lines])


def _in_words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "it ended the process by itself (sys.exit). A pipeline ends by returning."
    if isinstance(error, KeyboardInterrupt):
        return "it was interrupted."
    if isinstance(error, MemoryError):
        return "it wanted more memory than a run may have (PIPELINE_MEMORY_MB)."
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    name = type(error).__name__
    return f"{name}: {text}" + ("" if text.endswith((".", "!", "?", "…")) else ".") if text else f"{name}."


def _network(chain: list[BaseException]) -> tuple[str, str, bool, float | None] | None:
    """(words, kind, may it pass, seconds to wait) when the other system or the way to it is to blame."""
    for each in chain:
        status = _status(each)
        if status:
            return _by_status(each, status)
    for each in chain:
        names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(each).__mro__}
        if any(_CERTIFICATE in {f"{k.__module__}.{k.__qualname__}" for k in type(c).__mro__} for c in chain):
            return f"{_host(chain)} has a certificate that this machine does not trust.", "tls", False, None
        if names & _NETWORK:
            return f"{_host(chain)} could not be reached ({type(each).__name__}).", "unreachable", True, None
    return None


def _status(error: BaseException) -> int:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "code", None) or getattr(error, "status", None)
    return status if isinstance(status, int) and 400 <= status < 600 else 0


def _by_status(error: BaseException, status: int) -> tuple[str, str, bool, float | None] | None:
    host = _host([error])
    if status == 429:
        headers = getattr(getattr(error, "response", None), "headers", None) or getattr(error, "headers", None) or {}
        wait = str(headers.get("Retry-After", ""))
        return f"{host} asked to slow down (HTTP 429).", "rate_limited", True, float(wait) if wait.isdigit() else None
    if status >= 500 or status == 408:
        return f"{host} answered with an error of its own (HTTP {status}).", "unreachable", True, None
    if status in (401, 403):
        return f"{host} refused the log-in or a permission is missing (HTTP {status}).", "unauthorized", False, None
    return f"{host} refused the request (HTTP {status}).", "refused", False, None


def _host(chain: list[BaseException]) -> str:
    for each in chain:
        for holder in (getattr(each, "request", None), getattr(each, "response", None), each):
            if (url := getattr(holder, "url", None)) and (host := urlsplit(str(url)).hostname):
                return host
    return "The other system"
