"""The example of docs/connectors.md is a real connector: it is taken from the page and run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from portal.failures import TerminalError
from sources import connectors
from sources.connectors.base import Connector, StreamRequest, SyncMode
from sources.engines.base import SyncRequest
from sources.engines.dlt_engine import DltEngine
from tests.sources.engines.conftest import query  # noqa: F401 (fixture)

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "connectors.md"
TOKEN = "tok_0123456789abcdef"
PATH = "sources.connectors.helpdesk"


def example() -> str:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


@pytest.fixture
def helpdesk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module = ModuleType(PATH)
    exec(compile(example(), str(GUIDE), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, PATH, module)
    line = re.search(rf'^    "helpdesk": "({re.escape(PATH)}\.\w+)",$', GUIDE.read_text(), re.MULTILINE)
    assert line
    monkeypatch.setitem(connectors.CONNECTORS, "helpdesk", line[1])
    yield connectors.get_connector("helpdesk")
    connectors.made.cache_clear()


@pytest.fixture
def desk(httpserver: HTTPServer) -> dict[str, Any]:
    """A help desk with 3 agents and 230 tickets that pages by a cursor of its own."""
    data: dict[str, Any] = {
        "agents": [{"id": n, "name": f"Agent {n}", "team": {"id": "t1", "size": n}} for n in range(3)],
        "tickets": [
            {"id": n, "subject": f"Ticket {n}", "updated_at": f"2026-03-{1 + n // 24:02}T{n % 24:02}:00:00+00:00"}
            for n in range(230)
        ],
    }

    def answer(request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Response('{"message": "bad token"}', 401)
        name = request.path.rpartition("/")[2]
        if name == "me":
            return Response('{"email": "ada@acme.example"}')
        since, start = request.args.get("updated_since", ""), int(request.args.get("after", 0))
        items = [item for item in data[name] if item.get("updated_at", "") >= since or not since]
        items.sort(key=lambda item: item.get("updated_at", ""))
        end = start + int(request.args["limit"])
        return Response(json.dumps({"data": items[start:end], "next": str(end) if end < len(items) else None}))

    httpserver.expect_request(re.compile("/v1/.*")).respond_with_handler(answer)
    data["settings"] = {"token": TOKEN, "base_url": httpserver.url_for("").rstrip("/")}
    return data


def test_the_example_has_less_than_sixty_lines():
    assert len(example().splitlines()) < 60


def test_the_example_is_in_order():
    ruff = str(Path(sys.executable).with_name("ruff"))
    run = [ruff, "check", "--quiet", "--stdin-filename", "sources/connectors/helpdesk.py", "-"]
    found = subprocess.run(run, input=example(), capture_output=True, text=True, check=False, cwd=GUIDE.parents[1])
    assert found.stdout == ""


def test_the_example_is_a_whole_connector(helpdesk):
    missing = [name for name in Connector.__annotations__ if not hasattr(helpdesk, name)]
    assert missing == []
    assert [spec.name for spec in helpdesk.discover({})] == ["agents", "tickets"]


def test_the_example_says_who_it_is_and_what_is_wrong_with_a_token(helpdesk, desk):
    assert helpdesk.check(desk["settings"]) == "Connected to Helpdesk as ada@acme.example."
    with pytest.raises(TerminalError, match="did not accept the token"):
        helpdesk.check({**desk["settings"], "token": "tok_wrong_one"})


def test_the_example_reads_everything_and_then_what_is_new(helpdesk, desk):
    agents = list(helpdesk.read(desk["settings"], StreamRequest("agents", SyncMode.FULL_REFRESH), None))
    assert agents[0].rows[2] == {"id": 2, "name": "Agent 2", "team_id": "t1", "_extra": '{"team":{"size":2}}'}
    pages = list(helpdesk.read(desk["settings"], StreamRequest("tickets"), None))
    assert [len(page.rows) for page in pages] == [100, 100, 30]
    again = list(helpdesk.read(desk["settings"], StreamRequest("tickets"), pages[-1].cursor))
    assert [row["id"] for page in again for row in page.rows] == [229]


@pytest.mark.slow
def test_the_example_syncs_into_the_warehouse(helpdesk, desk, query, tmp_path):  # noqa: F811
    def sync() -> dict[str, int]:
        streams = (StreamRequest("agents", SyncMode.FULL_REFRESH), StreamRequest("tickets", cursor_field="updated_at"))
        request = SyncRequest("helpdesk", "helpdesk", desk["settings"], streams, "raw_helpdesk", tmp_path / "work")
        return DltEngine().sync(request, lambda stream, rows: None).rows

    assert sync() == {"agents": 3, "tickets": 230}
    desk["tickets"][7] |= {"subject": "Changed", "updated_at": "2026-04-01T00:00:00+00:00"}
    assert sync()["tickets"] == 2
    assert query("select count(*), count(distinct id) from raw_helpdesk.tickets") == [(230, 230)]
    assert query("select subject, updated_at::date::text from raw_helpdesk.tickets where id = 7") == [
        ("Changed", "2026-04-01")
    ]
