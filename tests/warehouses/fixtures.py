"""A PostgreSQL server and a BigQuery emulator for tests of the warehouses: a server for a test process, where each test
makes a database of its own; an emulator, which has one project only, for a file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.postgres import ProductDatabase
from tests.warehouses.emulator import Emulator, as_google_answers

# With what an address has to escape.
PASSWORD = "p@ss/word: 100%"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductDatabase]:
    """Databases of one's own are made with `new_database`."""
    folder: Path = tmp_path_factory.mktemp("postgres-warehouse")
    server = ProductDatabase(folder, port=0, owner_password=PASSWORD, reader_password=PASSWORD)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A running emulator without a table; Google's clients in this process come to it."""
    with (
        Emulator(tmp_path_factory.mktemp("bigquery")) as emulator,
        as_google_answers(emulator.environment),
    ):
        yield emulator


def new_database(server: ProductDatabase, name: str) -> str:
    """The WAREHOUSE_URL of an empty database."""
    from urllib.parse import quote

    with server.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute(f'create database "{name}"')
    return f"postgresql://postgres:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{name}"
