"""A server whose log can be followed, a warehouse, and the question whether both hold the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sandbox.postgres import ProductDatabase
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest
from sources.engines.base import SyncOutcome, SyncRequest
from sources.engines.dlt_engine import DltEngine
from tests.sources.engines.conftest import query  # noqa: F401 (fixture)

PASSWORD = "follow the log"
SOURCE = "shop"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductDatabase]:
    """A real server that keeps a log which can be followed."""
    running = ProductDatabase(
        tmp_path_factory.mktemp("server"), port=0, owner_password="owner", reader_password="reader"
    )
    running.start()
    try:
        with running.connect() as connection:
            connection.autocommit = True
            connection.execute(f"create role follower login replication password '{PASSWORD}'")
        yield running
    finally:
        running.stop()


@pytest.fixture
def shop(server: ProductDatabase) -> Iterator[psycopg.Connection[Any]]:
    """The superuser in an empty database that belongs to the role which follows its log."""
    with server.connect() as owner:
        owner.autocommit = True
        owner.execute("create database shop owner follower")
        try:
            with server.connect("shop") as connection:
                connection.autocommit = True
                connection.execute("set role follower")
                yield connection
        finally:
            owner.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots"
                " where active_pid is not null and database = 'shop'"
            )
            with server.connect("shop") as connection:
                connection.autocommit = True
                connection.execute(
                    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = 'shop'"
                )
            owner.execute("drop database shop with (force)")


@pytest.fixture
def follower(server: ProductDatabase) -> dict[str, Any]:
    """The settings of a source that follows the shop's log."""
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "shop",
        "user": "follower",
        "password": PASSWORD,
        "changes": "cdc",
    }


@pytest.fixture
def pull(tmp_path: Path, follower: dict[str, Any]) -> Callable[..., SyncOutcome]:
    """Sync these tables (all that are offered when none is named)."""

    def run(*names: str, **options: Any) -> SyncOutcome:
        chosen = {**follower, **options.pop("settings", {})}
        wanted = names or [spec.name for spec in get_connector("postgres").discover(chosen)]
        streams = tuple(StreamRequest(name, **options) for name in wanted)
        request = SyncRequest(SOURCE, "postgres", chosen, streams, f"raw_{SOURCE}", tmp_path / "work")
        return DltEngine().sync(request, lambda stream, rows: None)

    return run
