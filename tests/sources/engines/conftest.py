from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from portal.warehouse import get_warehouse
from sources import connectors
from sources.connectors.base import StreamRequest, SyncMode
from sources.engines.base import SyncOutcome, SyncRequest
from sources.engines.dlt_engine import DltEngine
from tests.sources.connectors.conftest import company, database, pauses, postgres, sandbox  # noqa: F401 (fixtures)
from tests.sources.engines.fakes import FakeConnector

TOKEN = "sk_live_abcdefghijklmnop"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeConnector:
    monkeypatch.setitem(connectors.CONNECTORS, "fake", "tests.sources.engines.fakes.FakeConnector")
    connector = connectors.get_connector("fake")
    assert isinstance(connector, FakeConnector)
    connector.reset()
    return connector


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., SyncRequest]:
    def make(*names: str, mode: SyncMode = SyncMode.INCREMENTAL, **options: Any) -> SyncRequest:
        return SyncRequest(
            source="fake-one",
            connector="fake",
            settings={"token": TOKEN},
            streams=tuple(StreamRequest(name, mode, **options) for name in names),
            dataset="raw_fake_one",
            work_dir=tmp_path / "work" / "fake-one",
        )

    return make


@pytest.fixture
def sync(request_for: Callable[..., SyncRequest]) -> Callable[..., SyncOutcome]:
    def run(*names: str, **options: Any) -> SyncOutcome:
        return DltEngine().sync(request_for(*names, **options), lambda stream, rows: None)

    return run


@pytest.fixture
def query() -> Callable[[str], list[tuple[Any, ...]]]:
    def run(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(get_warehouse().path), read_only=True) as connection:  # type: ignore[attr-defined]
            return connection.execute(sql).fetchall()

    return run
