"""A server whose log can be followed, a warehouse, and the question whether both hold the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
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
ROOT = Path(__file__).parents[3]


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


class Worker:
    """Syncs in children of one warm process."""

    def __init__(self, folder: Path, settings: dict[str, Any], process: Any) -> None:
        self.folder = folder
        self.process = process

    def sync(self, point: str = "none", kill_after: float | None = None) -> int:
        """The exit status of one sync, which dies at `point`, or is killed after so many seconds."""
        self.process.stdin.write(point + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        if kill_after is not None:
            timer = threading.Timer(kill_after, os.kill, (child, signal.SIGKILL))
            timer.start()
            status = int(self.process.stdout.readline())
            timer.cancel()
            return status
        return int(self.process.stdout.readline())

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def worker(tmp_path: Path, follower: dict[str, Any]) -> Iterator[Callable[..., Worker]]:
    started = []

    def start(warehouse_url: str = f"duckdb:///{tmp_path}/warehouse.duckdb", **options: Any) -> Worker:
        environment = {**os.environ, "DEMO": "true", "DATA_DIR": str(tmp_path / "data")}
        environment["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        command = [sys.executable, "-m", "tests.sources.cdc.crash", str(tmp_path), json.dumps({**follower, **options})]
        command.append(warehouse_url)
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return Worker(tmp_path, options, process)

    yield start
    for process in started:
        process.stdin.close()
        process.wait(30)
