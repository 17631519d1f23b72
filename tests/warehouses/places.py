"""A warehouse of each kind, empty, for a test: the portal's own, and somebody beside it who writes as dbt would."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import psycopg
import pytest

from portal.warehouse import Warehouse, get_warehouse
from tests.warehouses.emulator import PROJECT
from tests.warehouses.fixtures import new_database

_numbers = itertools.count(1)


@dataclass
class Place:
    """A warehouse, and how somebody beside it writes a table as dbt would ("mart_finance.numbers")."""

    warehouse: Warehouse
    write: Callable[[str, str], None]
    run: Callable[[str], Any]


def _duckdb(settings: Any, _request: pytest.FixtureRequest) -> Place:
    warehouse: Any = get_warehouse()
    warehouse.path.parent.mkdir(parents=True, exist_ok=True)

    def run(sql: str) -> Any:
        with warehouse.writer(), duckdb.connect(str(warehouse.path)) as connection:
            return connection.execute(sql).fetchall()

    def write(table: str, select: str) -> None:
        run(f"create schema if not exists {table.partition('.')[0]}")
        run(f"create or replace table {table} as {select}")

    return Place(warehouse, write, run)


def _postgres(settings: Any, request: pytest.FixtureRequest) -> Place:
    server = request.getfixturevalue("postgres_server")
    url = new_database(server, f"warehouse_{next(_numbers)}")
    settings.WAREHOUSE_URL = url

    def run(sql: str) -> Any:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else None

    def write(table: str, select: str) -> None:
        place = _candidate(table)
        run(f"create schema if not exists {place.partition('.')[0]}")
        run(f"drop table if exists {place}; create table {place} as {select}")

    return Place(get_warehouse(), write, run)


def _bigquery(settings: Any, request: pytest.FixtureRequest) -> Place:
    request.getfixturevalue("bigquery_emulator")
    from google.cloud import bigquery

    client = bigquery.Client(project=PROJECT)
    for dataset in client.list_datasets():  # one project for all tests: each begins with nothing
        client.delete_dataset(dataset.reference, delete_contents=True, not_found_ok=True)
    # An address of its own, so that nothing is kept from the test before.
    settings.WAREHOUSE_URL = f"bigquery://{PROJECT}/EU?maximum_gb={next(_numbers)}"

    def run(sql: str) -> Any:
        return [tuple(row.values()) for row in client.query(sql).result()]

    def write(table: str, select: str) -> None:
        place = _candidate(table)
        client.create_dataset(place.partition(".")[0], exists_ok=True)
        run(f"create or replace table {place} as {select}")

    return Place(get_warehouse(), write, run)


def _candidate(table: str) -> str:
    return f"candidate_{table}" if table.startswith("mart_") else table


PLACES = {"duckdb": _duckdb, "postgresql": _postgres, "bigquery": _bigquery}
