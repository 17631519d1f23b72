"""The embedded warehouse: one writer, versions that never change, readers that never see a mix."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from portal.failures import TerminalError, TransientError
from portal.warehouse import get_warehouse

HOLD_THE_LOCK = """
import sys, signal
from portal.warehouse.duckdb import DuckDBWarehouse
with DuckDBWarehouse(sys.argv[1]).writer():
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def warehouse(settings):
    warehouse = get_warehouse()
    warehouse.path.parent.mkdir(parents=True)
    write(warehouse, 1)
    return warehouse


def write(warehouse, number: int) -> None:
    """Two marts that always say the same number, and a raw table that must never be published."""
    with warehouse.writer(), duckdb.connect(str(warehouse.path)) as connection:
        for schema in ("mart_finance", "mart_sales", "raw_stripe"):
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create or replace table {schema}.numbers as select {number} as n from range(1000)")


def test_a_version_holds_the_marts_and_nothing_else(warehouse):
    location = warehouse.publish("00000001")
    tables = warehouse.query(location, "select schema_name from duckdb_tables() order by 1").rows
    assert tables == [("mart_finance",), ("mart_sales",)]


def test_a_published_version_never_changes(warehouse):
    location = warehouse.publish("00000001")
    write(warehouse, 2)
    assert warehouse.query(location, "select max(n) from mart_finance.numbers").rows == [(1,)]
    newer = warehouse.publish("00000002")
    assert warehouse.query(location, "select max(n) from mart_finance.numbers").rows == [(1,)]
    assert warehouse.query(newer, "select max(n) from mart_finance.numbers").rows == [(2,)]


def test_views_are_published_as_what_they_show(warehouse):
    with warehouse.writer(), duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("create view mart_finance.half as select n / 2 as h from raw_stripe.numbers")
    location = warehouse.publish("00000001")
    assert warehouse.query(location, "select distinct h from mart_finance.half").rows == [(0.5,)]


def test_readers_in_the_middle_see_the_old_or_the_new_and_never_a_mix(warehouse):
    """Readers follow a pointer while versions are published under them."""
    pointer = [warehouse.publish("00000001")]
    stop = threading.Event()
    seen: set[tuple[int, int]] = set()
    errors: list[BaseException] = []

    def read() -> None:
        sql = "select (select max(n) from mart_finance.numbers), (select max(n) from mart_sales.numbers)"
        while not stop.is_set():
            try:
                seen.add(warehouse.query(pointer[0], sql).rows[0])
            except BaseException as error:
                errors.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(2, 12):
        write(warehouse, number)
        pointer[0] = warehouse.publish(f"{number:08d}")
    stop.set()
    for reader in readers:
        reader.join()
    assert not errors
    assert all(left == right for left, right in seen)


def test_a_publication_that_breaks_off_leaves_nothing_behind(warehouse):
    with warehouse.writer(), duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(
            "create view mart_finance.broken as select cast(n || 'x' as integer) as b from raw_stripe.numbers"
        )
    with pytest.raises(duckdb.Error):
        warehouse.publish("00000001")
    assert list(warehouse.published_dir.iterdir()) == []


def test_only_kept_versions_stay(warehouse):
    locations = [warehouse.publish(f"{number:08d}") for number in range(3)]
    assert sorted(warehouse.discard_unpublished(locations[1:])) == [locations[0]]
    with pytest.raises(TerminalError, match="cannot be found"):
        warehouse.query(locations[0], "select 1")


def test_a_page_cannot_write(warehouse):
    location = warehouse.publish("00000001")
    with pytest.raises(TerminalError):
        warehouse.query(location, "drop table mart_finance.numbers")


def test_a_question_that_takes_too_long_is_stopped(warehouse):
    location = warehouse.publish("00000001")
    many = ", ".join(f"mart_finance.numbers n{number}" for number in range(4))
    with pytest.raises(TerminalError, match="took too long"):
        warehouse.query(location, f"select sum(n0.n + n1.n * n2.n - n3.n) from {many}", timeout=0.2)


def test_the_right_to_write_nests_in_one_thread_and_excludes_the_others(warehouse):
    refused: list[TransientError] = []

    def other() -> None:
        try:
            with warehouse.writer(timeout=0.05):
                pass
        except TransientError as error:
            refused.append(error)

    with warehouse.writer(), warehouse.writer():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused[0].kind == "warehouse_busy"
    with warehouse.writer(timeout=0.05):
        pass


def test_a_killed_writer_frees_the_right(warehouse, settings):
    env = {**os.environ, "PYTHONPATH": str(settings.BASE_DIR)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, settings.WAREHOUSE_URL], stdout=subprocess.PIPE, env=env, text=True
    )
    try:
        assert process.stdout.readline().strip() == "held"
        with pytest.raises(TransientError), warehouse.writer(timeout=0.05):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with warehouse.writer(timeout=5):
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_tables_of_a_warehouse_that_is_not_there_yet_are_none(settings, tmp_path: Path):
    settings.WAREHOUSE_URL = f"duckdb:///{tmp_path}/nowhere/w.duckdb"
    assert get_warehouse().tables() == set()


def test_tables_are_found_by_a_column(warehouse):
    assert warehouse.tables_with("x") == set()
    with warehouse.writer(), duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(
            "create schema raw_a; create table raw_a.t (_deleted_at int); create table t (_deleted_at int)"
        )
        connection.execute("create table raw_a.u (id int)")

    assert warehouse.tables_with("_deleted_at", schema_prefix="raw_") == {"raw_a.t"}
