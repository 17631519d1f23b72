"""A backfill of real connectors: everything since a day comes again, older rows are left, and the cursor goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from portal.warehouse import get_warehouse
from sources.connectors import get_connector
from sources.connectors.base import Again, StreamRequest, cursor_from
from sources.engines.base import StreamOutcome, SyncRequest
from sources.engines.dlt_engine import DltEngine

pytestmark = pytest.mark.slow
DAY = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def pull(tmp_path: Path) -> Callable[..., StreamOutcome]:
    def run(connector: str, settings: dict[str, Any], stream: str, again: Again | None = None) -> StreamOutcome:
        specs = get_connector(connector).discover(settings)
        spec = next(spec for spec in specs if spec.name == stream)
        wanted = StreamRequest(stream, cursor_field=spec.cursor_fields[0], primary_key=spec.primary_key, again=again)
        request = SyncRequest(connector, connector, settings, (wanted,), f"raw_{connector}", tmp_path / connector)
        return DltEngine().sync(request, lambda stream, rows: None).streams[0]

    return run


def spoil(table: str, column: str) -> None:
    """As if the rows had once been loaded wrongly."""
    with duckdb.connect(str(get_warehouse().path)) as connection:
        connection.execute(f"update {table} set {column} = 'spoilt'")


def spoilt_by_age(query, table: str, column: str, time: str) -> dict[bool, set[bool]]:
    """For rows before and since the day: whether they are spoilt."""
    found: dict[bool, set[bool]] = {False: set(), True: set()}
    for is_recent, is_spoilt in query(
        f"select distinct {time} >= timestamptz '{DAY.isoformat()}', {column} = 'spoilt' from {table}"
    ):
        found[is_recent].add(is_spoilt)
    return found


def test_stripe_brings_what_was_created_since_then(sandbox, pull, query):
    settings = {"api_key": sandbox.stripe.api_key, "base_url": sandbox.stripe.base_url}
    first = pull("stripe", settings, "invoices")
    spoil("raw_stripe.invoices", "currency")

    again = pull("stripe", settings, "invoices", Again("1", DAY))

    assert 0 < again.rows < first.rows
    assert again.again == "1"
    assert again.cursor.keys() == first.cursor.keys()
    assert again.cursor["event_at"] >= first.cursor["event_at"]
    assert spoilt_by_age(query, "raw_stripe.invoices", "currency", "created") == {False: {True}, True: {False}}
    assert pull("stripe", settings, "invoices").rows == 0
    count = len(sandbox.company.ledger.invoices)
    assert query("select count(*), count(distinct id) from raw_stripe.invoices") == [(count, count)]


@pytest.mark.parametrize(
    ("stream", "column", "time"), [("issues", "state", "updated_at"), ("commits", "message", "committed_at")]
)
def test_github_brings_what_changed_since_then(sandbox, pull, query, stream, column, time):
    organization = sandbox.endpoints()["github"]["organization"]
    settings = {"token": sandbox.github.token, "base_url": sandbox.github.base_url, "organization": organization}
    first = pull("github", settings, stream)
    spoil(f"raw_github.{stream}", column)

    again = pull("github", settings, stream, Again("1", DAY))

    assert 0 < again.rows < first.rows
    table = f"raw_github.{stream}"
    assert query(f"select count(*) from {table} where {column} = 'spoilt' and {time} >= '{DAY.isoformat()}'") == [(0,)]
    assert query(f"select count(*) > 0 from {table} where {column} = 'spoilt'") == [(True,)]
    assert pull("github", settings, stream).rows == 0
    assert query(f"select count(*) from {table}") == [(first.rows,)]


def test_postgresql_brings_the_rows_dated_since_then(postgres, database, pull, query):
    database.execute("create table orders (id bigint primary key, state text, updated_at timestamptz not null)")
    database.execute(
        "insert into orders select n, 'paid', timestamptz '2026-01-01 00:00+00' + n * interval '1 day'"
        " from generate_series(0, 59) n"
    )
    first = pull("postgres", postgres, "orders")
    spoil("raw_postgres.orders", "state")

    again = pull("postgres", postgres, "orders", Again("1", DAY))

    assert (first.rows, again.rows) == (60, 29)
    assert again.cursor == first.cursor
    assert spoilt_by_age(query, "raw_postgres.orders", "state", "updated_at") == {False: {True}, True: {False}}
    assert pull("postgres", postgres, "orders").rows == 0


def test_a_cursor_that_is_a_number_says_nothing_of_days():
    connector = get_connector("postgres")
    request = StreamRequest("orders")

    assert cursor_from(connector, request, DAY, {"value": "20261125", "edge": "20260000", "window": "x"}) is None
    assert cursor_from(connector, request, DAY, None) is None


def test_a_first_read_under_way_is_not_turned_back():
    stripe = get_connector("stripe")
    cursor = {"event_at": 1, "seen": [], "checked_at": 1.0, "after": "in_1"}

    assert cursor_from(stripe, StreamRequest("invoices"), DAY, cursor) is None
