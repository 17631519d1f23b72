"""Notice requests that were refused while the code went on as if nothing was missing.

`response.json().get("messages", [])` of a refusal is an empty list: rows would be missing, a cursor might move past
them, and the run would be green. So every answer that `requests` gets is looked at; a refusal counts unless the same
request was answered well later. Which statuses a code may well expect (404, 409, 422 …) is its own affair.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PASSING = {"ratelimited", "rate_limited", "internal_error", "service_unavailable", "request_timeout", "fatal_error"}
# How Slack and others refuse with status 200.
_NOT_OK = re.compile(rb'\A\s*\{\s*"ok"\s*:\s*false\b')
_REASON = re.compile(rb'"error"\s*:\s*"([\w .:-]{1,80})"')


@dataclass(frozen=True)
class Answer:
    host: str
    words: str  # “HTTP 429”, “invalid_auth”
    is_transient: bool
    wait: float | None
    line: int  # where in the company's file it was asked, 0 when that is not known


class Refused(Exception):
    """Requests were refused and the code did not mind."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__(", ".join(answer.words for answer in answers))
        self.answers = answers

    def as_failure(self, file_name: str) -> dict[str, Any]:
        first = next((answer for answer in self.answers if not answer.is_transient), self.answers[0])
        times = sum(answer.words == first.words and answer.host == first.host for answer in self.answers)
        where = f"{file_name}, line {first.line}" if first.line else file_name
        count = "a request" if times == 1 else f"{times} requests"
        counted = Counter(f"{answer.host}: {answer.words}" for answer in self.answers)
        return {
            "sentence": (
                f"{where}: {first.host} answered {count} with {first.words}, and the code went on as if nothing was "
                "missing. Nothing was loaded, so that no rows are lost."
            ),
            "detail": "\n".join(f"{words} ({number} ×)" for words, number in counted.items()),
            "kind": "rate_limited" if first.is_transient else "refused",
            "is_transient": first.is_transient,
            "retry_after": max((answer.wait for answer in self.answers if answer.wait), default=None),
        }


class Watch:
    """Looks at every answer that `requests` gets in this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[tuple[Any, ...], Answer] = {}

    def install(self) -> None:
        import requests

        send = requests.Session.send

        def watched(session: Any, request: Any, **options: Any) -> Any:
            response = send(session, request, **options)
            self.note(request, response, is_stream=bool(options.get("stream")))
            return response

        setattr(requests.Session, "send", watched)  # noqa: B010 (mypy: one method for another)

    def note(self, request: Any, response: Any, *, is_stream: bool) -> None:
        key = (request.method, request.url, hash(str(request.body)))
        words, is_transient = self._judge(response, is_stream)
        if not words:
            self._open.pop(key, None)
            return
        wait = str(response.headers.get("Retry-After", ""))
        self._open[key] = Answer(
            urlsplit(request.url).hostname or "the other system",
            words,
            is_transient,
            float(wait) if wait.isdigit() else None,
            self._line(),
        )

    def raise_if_any(self) -> None:
        if self._open:
            raise Refused(list(self._open.values()))

    @staticmethod
    def _judge(response: Any, is_stream: bool) -> tuple[str, bool]:
        status = response.status_code
        if status in (401, 403):
            return f"HTTP {status}", False
        if status == 429 or status >= 500:
            return f"HTTP {status}", True
        if not is_stream and _NOT_OK.match(response.content[:200]):
            found = _REASON.search(response.content[:20_000])
            reason = found[1].decode() if found else '"ok": false'
            return f"“{reason}”", reason in _PASSING
        return "", False

    def _line(self) -> int:
        frame: Any = sys._getframe()
        while frame is not None:
            if frame.f_code.co_filename == str(self.path):
                return frame.f_lineno
            frame = frame.f_back
        return 0
