"""Recorded answers of real systems, played back over real HTTP.

    def test_a_page_of_contacts_becomes_rows(recording):
        tape = recording("hubspot/recorded/contacts-v3-list-first-page.json", "a page of contacts becomes rows")
        settings = {"base_url": tape.play(), …}

`make recordings` prints the table of all recorded cases and whether they pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

FIXTURES = Path(__file__).parent / "fixtures"
_NOT_PLAYED = {"content-length", "content-encoding", "transfer-encoding", "connection"}


class Tape:
    """The interactions of one recording, in the order in which they were recorded."""

    def __init__(self, path: Path, server: HTTPServer) -> None:
        self.content = json.loads(path.read_text())
        self.interactions: list[dict[str, Any]] = self.content.get("interactions", [])
        self._server = server
        self._played: set[int] = set()
        #: Requests that no recording answers: (method, path and query).
        self.unknown: list[tuple[str, str]] = []

    def play(self, *, ignore: tuple[str, ...] = ()) -> str:
        """Serve the recorded answers; returns the base URL.

        A request is answered by the first interaction of the same method, path and query that was not played yet, or
        by the last one that was. `ignore`: query parameters that need not be the same.
        """

        def answer(request: Request) -> Response:
            found = self._find(request, set(ignore))
            if found is None:
                self.unknown.append((request.method, request.full_path))
                return Response("Nothing was recorded for this request.", status=501)
            body = found["response"]["body"]
            headers = {k: v for k, v in found["response"]["headers"].items() if k.lower() not in _NOT_PLAYED}
            data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
            return Response(data, status=found["response"]["status"], headers=_flat(headers))

        self._server.expect_request(re.compile(".*")).respond_with_handler(answer)
        return self._server.url_for("").rstrip("/")

    def end_here(self) -> None:
        """The recording stops before the list does: let its last page name no next one."""
        headers = self.interactions[-1]["response"]["headers"]
        for name in [name for name in headers if name.lower() == "link"]:
            del headers[name]

    def _find(self, request: Request, ignored: set[str]) -> dict[str, Any] | None:
        asked = sorted((key, value) for key, value in request.args.items(multi=True) if key not in ignored)
        same = []
        for number, each in enumerate(self.interactions):
            parts = urlsplit(each["request"]["url"])
            query = sorted((k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in ignored)
            if (each["request"]["method"].upper(), unquote(parts.path).rstrip("/"), query) == (
                request.method,
                request.path.rstrip("/"),
                asked,
            ):
                same.append(number)
        if not same:
            return None
        number = next((each for each in same if each not in self._played), same[-1])
        self._played.add(number)
        return self.interactions[number]


def _flat(headers: dict[str, Any]) -> dict[str, str]:
    return {name: value[0] if isinstance(value, list) else str(value) for name, value in headers.items()}


@pytest.fixture
def recording(request: pytest.FixtureRequest, httpserver: HTTPServer) -> Iterator[Callable[[str, str], Tape]]:
    """Opens a recording by its path below tests/fixtures and says in words what the test shows with it."""
    tapes: list[Tape] = []

    def opened(file: str, what: str) -> Tape:
        request.node.user_properties.append(("recording", f"{file}\t{what}"))
        tapes.append(Tape(FIXTURES / file, httpserver))
        return tapes[-1]

    yield opened
    for tape in tapes:
        assert not tape.unknown, f"Nothing was recorded for {tape.unknown}."


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--recordings", action="store_true", help="print the table of recorded cases at the end")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "recording" in getattr(item, "fixturenames", ()):
            item.add_marker("recording")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--recordings"):
        return
    rows = set()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", ()):
                if name == "recording" and (report.when == "call" or outcome != "passed"):
                    file, what = value.split("\t")
                    rows.add((file, what, "passes" if outcome == "passed" else "FAILS"))
    terminalreporter.section("Recorded cases")
    width = max((len(file) for file, *_ in rows), default=0)
    for file, what, result in sorted(rows):
        terminalreporter.write_line(f"{result:<7} {file:<{width}}  {what}")
    terminalreporter.write_line(f"{len(rows)} cases from {len({file for file, *_ in rows})} recordings")
