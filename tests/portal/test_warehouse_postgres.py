"""PostgreSQL as the warehouse: what only it can show, on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from portal.failures import TerminalError, TransientError
from portal.warehouse import get_warehouse
from portal.warehouse import postgres as module
from portal.warehouse.postgres import PostgresWarehouse
from tests.warehouses.fixtures import PASSWORD, new_database

pytestmark = pytest.mark.slow

HOLD_THE_LOCK = """
import os, signal
from portal.warehouse.postgres import PostgresWarehouse
with PostgresWarehouse(os.environ["WAREHOUSE_URL"]).writer():
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def url(postgres_server: Any, settings: Any, request: pytest.FixtureRequest) -> str:
    settings.WAREHOUSE_URL = new_database(postgres_server, request.node.name[:60])
    with psycopg.connect(settings.WAREHOUSE_URL) as connection:
        connection.execute("create schema candidate_mart_finance")
        connection.execute("create table candidate_mart_finance.numbers as select generate_series(1, 2000) as n")
    return settings.WAREHOUSE_URL


def test_a_killed_writer_frees_the_right(url: str, settings: Any) -> None:
    env = {**os.environ, "PYTHONPATH": str(settings.BASE_DIR), "WAREHOUSE_URL": url}
    process = subprocess.Popen([sys.executable, "-c", HOLD_THE_LOCK], stdout=subprocess.PIPE, env=env, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline().strip() == "held"
        with pytest.raises(TransientError), get_warehouse().writer(timeout=0.05):
            pass
        process.kill()
        process.wait()
        with get_warehouse().writer(timeout=30):
            pass
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_whoever_lost_the_connection_is_told_that_the_right_was_lost(url: str) -> None:
    with (
        pytest.raises(TransientError, match="was lost during the work"),
        get_warehouse().writer(),
        psycopg.connect(url, autocommit=True) as other,
    ):
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'data-portal writer' and datname = current_database()"
        )


def test_who_may_read_a_stable_name_may_read_it_in_the_next_version(url: str) -> None:
    warehouse = get_warehouse()
    warehouse.publish("00000001")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop role if exists metabase")
        connection.execute("create role metabase")
        connection.execute("grant usage on schema mart_finance to metabase")
        connection.execute("grant select on mart_finance.numbers to metabase")
        warehouse.publish("00000002")
        connection.execute("set role metabase")
        assert connection.execute("select count(*) from mart_finance.numbers").fetchone() == (2000,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select 1 from candidate_mart_finance.numbers")
        connection.execute("reset role")
        connection.execute("drop owned by metabase; drop role metabase")


def test_a_question_under_way_delays_the_publication_and_is_not_broken(url: str) -> None:
    warehouse = get_warehouse()
    warehouse.publish("00000001")
    publication = threading.Thread(target=lambda: warehouse.publish("00000002"))
    with psycopg.connect(url) as reader:
        reader.execute("set transaction isolation level repeatable read")
        assert reader.execute("select max(n) from mart_finance.numbers").fetchone() == (2000,)
        publication.start()
        publication.join(0.5)
        assert publication.is_alive()
        assert reader.execute("select min(n) from mart_finance.numbers").fetchone() == (1,)
        reader.rollback()
    publication.join(30)
    assert not publication.is_alive()
    assert set(warehouse.columns("v00000002")) == {"mart_finance.numbers"}


def test_a_publication_that_cannot_go_on_leaves_everything_as_it_was(url: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "SWAP_SECONDS", 0.05)
    monkeypatch.setattr(module, "SWAP_ATTEMPTS", 2)
    warehouse = get_warehouse()
    warehouse.publish("00000001")
    with psycopg.connect(url) as reader:
        reader.execute("select 1 from mart_finance.numbers")
        with pytest.raises(TransientError, match="kept the published tables busy"):
            warehouse.publish("00000002")
    assert warehouse.columns("v00000002") == {}
    assert warehouse.query("v00000001", "select count(*) from mart_finance.numbers").rows == [(2000,)]


def test_a_question_that_takes_too_long_is_stopped(url: str) -> None:
    warehouse = get_warehouse()
    location = warehouse.publish("00000001")
    sql = "select count(*) from mart_finance.numbers a, mart_finance.numbers b, mart_finance.numbers c"
    with pytest.raises(TerminalError, match="took too long"):
        warehouse.query(location, sql, timeout=0.2)


def test_a_version_that_somebody_built_upon_stays(url: str) -> None:
    warehouse = get_warehouse()
    locations = [warehouse.publish(f"{number:08d}") for number in range(3)]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create view public.mine as select * from {locations[0]}__mart_finance.numbers")
    assert warehouse.discard_unpublished(locations[2:]) == [locations[1]]
    assert warehouse.query(locations[0], "select count(*) from mart_finance.numbers").rows == [(2000,)]


def test_a_wrong_password_needs_a_person_and_is_not_repeated(url: str) -> None:
    wrong = url.replace(quote(PASSWORD, safe=""), "not-the-password")
    with pytest.raises(TerminalError, match="does not let the portal in") as caught:
        PostgresWarehouse(wrong).tables()
    assert "not-the-password" not in f"{caught.value} {caught.value.detail}"


def test_a_server_that_is_away_is_worth_another_attempt() -> None:
    with pytest.raises(TransientError, match="could not be reached"):
        PostgresWarehouse("postgresql://portal:secret-word@127.0.0.1:1/warehouse").tables()
