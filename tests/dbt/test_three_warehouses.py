"""The same raw rows and the same SQL in DuckDB, PostgreSQL and BigQuery: the same marts, row by row, to the cent.

What is compared was built twice: first without the rows that come late, with some as they were before they changed, and
with some that are deleted later; then from what changed, on top of that.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from metrics import dbt_project
from metrics.dbt_adapter import build
from metrics.dbt_types import BuildOutcome, BuildRequest
from portal.warehouse import QueryResult, Warehouse, warehouse_at
from portal.warehouse.names import spoken
from sandbox.server import Sandbox
from tests.dbt.every_source import fill_from_sandbox
from tests.dbt.helpers import problems
from tests.dbt.raw_schema import RAW_SCHEMA
from tests.warehouses.emulator import PROJECT
from tests.warehouses.fixtures import new_database
from tests.warehouses.loading import into_bigquery, into_postgres

pytestmark = pytest.mark.slow

# In the middle of a month, two years into the company's life.
NOW = dt.datetime(2026, 11, 15, 10, 30, tzinfo=dt.UTC)
OTHERS = ("postgres", "bigquery")
# What a small company need not have at a moment.
MAY_BE_EMPTY = {"mart_finance.mrr_scheduled_churn", "mart_finance.mrr_reading_differences"}
Rows = list[tuple[Any, ...]]
LATER = "1900000000.0"  # the load that brings the changes

# Before the first build …
BEFORE = [
    # late: of a month ago, and the last days
    "create table raw_postgres.events_late as select * from raw_postgres.events where mod(id, 97) = 3",
    "delete from raw_postgres.events where mod(id, 97) = 3",
    "create table raw_stripe.invoices_late as select * from raw_stripe.invoices"
    " where created >= timestamp '2026-11-11 00:00:00'",
    "create table raw_stripe.invoice_lines_late as select * from raw_stripe.invoice_lines"
    " where invoice_id in (select id from raw_stripe.invoices_late)",
    "delete from raw_stripe.invoices where id in (select id from raw_stripe.invoices_late)",
    "delete from raw_stripe.invoice_lines where id in (select id from raw_stripe.invoice_lines_late)",
    # changed later: somebody else's event; another amount in an old invoice
    "insert into raw_postgres.events_late select * from raw_postgres.events where mod(id, 89) = 5",
    "update raw_postgres.events set user_id = 1 where mod(id, 89) = 5",
    "insert into raw_stripe.invoice_lines_late select * from raw_stripe.invoice_lines"
    " where period_start < timestamp '2026-03-01 00:00:00' and amount > 0 and id like '%7'",
    "update raw_stripe.invoice_lines set amount = amount * 2 where id in (select id from raw_stripe.invoice_lines_late)",
    # deleted later
    "create table raw_postgres.events_gone as select * from raw_postgres.events where mod(id, 83) = 7",
    "update raw_postgres.events_gone set id = id + 900000000, name = 'was.a.mistake' where true",
    "insert into raw_postgres.events select * from raw_postgres.events_gone",
]
CHANGED = ("raw_postgres.events", "raw_stripe.invoices", "raw_stripe.invoice_lines")
# … and between the two.
BETWEEN = [
    "delete from raw_postgres.events where id > 900000000",
    *(
        statement
        for table in CHANGED
        for statement in (
            f"delete from {table} where id in (select id from {table}_late)",
            f"update {table}_late set _dlt_load_id = '{LATER}' where true",
            f"insert into {table} select * from {table}_late",
        )
    ),
]


@dataclass
class World:
    """What was built and published where: `ask` answers a question in each of the three."""

    outcomes: Mapping[str, BuildOutcome]
    second: Mapping[str, BuildOutcome]
    ask: Mapping[str, Callable[[str], QueryResult]]
    models: list[Any]  # dbt's, as BigQuery's target has them

    @property
    def marts(self) -> list[str]:
        """Every mart that the project has, as "schema.table"."""
        named = (f"{spoken(model.schema)}.{model.alias}" for model in self.models)
        return sorted(name for name in named if name.startswith("mart_"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgres_server: Any, bigquery_emulator: Any) -> World:
    folder: Path = tmp_path_factory.mktemp("three")
    raw = folder / "warehouse.duckdb"
    with Sandbox.start(folder / "sandbox", seed=7, scale=0.2, freeze=True, now=int(NOW.timestamp())) as sandbox:
        fill_from_sandbox(raw, sandbox)
    url = new_database(postgres_server, "three")
    urls = {"duckdb": f"duckdb:///{raw}", "postgres": url, "bigquery": f"bigquery://{PROJECT}/EU"}
    with psycopg.connect(url, autocommit=True) as connection:
        into_postgres(raw, connection)
    into_bigquery(raw, folder)
    outcomes, second = {}, {}
    for name, address in urls.items():
        carry_out(address, BEFORE)
        if name == "duckdb":
            assert_something_changes(raw)
        outcomes[name] = _build(address, folder / name)
        carry_out(address, BETWEEN)
        second[name] = _build(address, folder / name, CHANGED)
    ask = {name: _published(warehouse_at(address)) for name, address in urls.items()}
    assert problems(_build(urls["duckdb"], folder / "duckdb", full_refresh=True)) == []
    ask["anew"] = _published(warehouse_at(urls["duckdb"]), "00000002")
    manifest = dbt_project.parsed(dbt_project.Location(urls["bigquery"], folder / "bigquery"))
    return World(outcomes, second, ask, [node for node in manifest.nodes.values() if node.resource_type == "model"])


def _published(warehouse: Warehouse, version: str = "00000001") -> Callable[[str], QueryResult]:
    return partial(warehouse.query, warehouse.publish(version), limit=1_000_000, timeout=120)


def _build(url: str, work_dir: Path, changed: tuple[str, ...] = (), *, full_refresh: bool = False) -> BuildOutcome:
    variables = {"as_of": NOW.strftime("%Y-%m-%d %H:%M:%S")}
    request = BuildRequest(changed, frozenset(RAW_SCHEMA), url, work_dir, vars=variables, full_refresh=full_refresh)
    return build(request)


def carry_out(url: str, statements: list[str]) -> None:
    """The same statements in any of the three."""
    if url.startswith("duckdb:"):
        with duckdb.connect(url.removeprefix("duckdb:///")) as connection:
            for statement in ("set TimeZone = 'UTC'", *statements):
                connection.execute(statement)
    elif url.startswith("postgresql:"):
        with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as server:
            for statement in statements:
                server.execute(statement)
    else:
        from google.cloud import bigquery

        client = bigquery.Client()
        for statement in statements:
            client.query(statement).result()


def assert_something_changes(raw: Path) -> None:
    """Otherwise a second build would have nothing to do."""
    with duckdb.connect(str(raw)) as connection:
        for table in ("raw_postgres.events_gone", *(f"{changed}_late" for changed in CHANGED)):
            assert connection.execute(f"select count(*) > 5 from {table}").fetchone() == (True,), table


def comparable(value: Any) -> Any:
    """Moments in UTC without a zone, decimals without trailing zeros, text as it is."""
    match value:
        case decimal.Decimal():
            return value.normalize() + 0
        case dt.datetime():
            return value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
        case _:
            return value


def are_equal(one: Any, other: Any) -> bool:
    """Exactly, but for the last bit of a fraction: sums of these depend on the order of the rows."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def differences(left: Rows, right: Rows, columns: list[str]) -> list[str]:
    """The first rows that differ, for people."""
    if len(left) != len(right):
        return [f"{len(left)} rows and {len(right)} rows"]
    found = []
    for one, other in zip(left, right, strict=True):
        unequal = [
            f"{name}: {a!r} and {b!r}" for name, a, b in zip(columns, one, other, strict=True) if not are_equal(a, b)
        ]
        if unequal:
            found.append(f"{one[0]!r}: {', '.join(unequal)}")
    return found[:5]


def in_order(rows: Rows) -> Rows:
    """By what is exact first: a fraction that differs in its last bit must not change the order."""

    def key(row: tuple[Any, ...]) -> tuple[str, ...]:
        exact = [repr(value) for value in row if not isinstance(value, float)]
        return (*exact, *(f"{value:.6f}" for value in row if isinstance(value, float)))

    return sorted((tuple(comparable(value) for value in row) for row in rows), key=key)


@pytest.mark.parametrize("name", ["duckdb", *OTHERS])
def test_everything_is_built_and_every_rule_holds(world: World, name: str) -> None:
    outcome = world.outcomes[name]
    assert problems(outcome) == []
    assert outcome.left_out == []
    assert outcome.models == world.outcomes["duckdb"].models > 30
    assert outcome.tests == world.outcomes["duckdb"].tests > 40


@pytest.mark.parametrize("name", ["duckdb", *OTHERS])
def test_a_second_build_is_of_what_changed_and_every_rule_holds(world: World, name: str) -> None:
    outcome = world.second[name]
    assert problems(outcome) == []
    assert outcome.models == world.second["duckdb"].models > 10
    assert outcome.models < world.outcomes[name].models


@pytest.mark.parametrize("name", OTHERS)
def test_a_build_speaks_of_the_same_datasets_and_rows(world: World, name: str) -> None:
    """By the names that everybody says, wherever candidates are kept."""
    ours, theirs = world.outcomes["duckdb"], world.outcomes[name]
    assert theirs.touched == ours.touched
    told = [
        {node.unique_id: (node.relation, node.rows) for node in outcome.nodes if node.resource_type != "seed"}
        for outcome in (ours, theirs)
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("name", [*OTHERS, "anew"])
def test_every_mart_is_the_same_row_by_row(world: World, name: str) -> None:
    wrong = {}
    for mart in world.marts:
        ours, theirs = (world.ask[each](f"select * from {mart}") for each in ("duckdb", name))
        assert ours.columns == theirs.columns, mart
        if found := differences(in_order(ours.rows), in_order(theirs.rows), list(ours.columns)):
            wrong[mart] = found
    assert wrong == {}


def test_the_marts_have_rows_to_compare(world: World) -> None:
    counts = {mart: world.ask["duckdb"](f"select count(*) from {mart}").rows[0][0] for mart in world.marts}
    assert sum(counts.values()) > 1000
    assert [mart for mart, rows in counts.items() if not rows and mart not in MAY_BE_EMPTY] == []


def test_tables_that_grow_lie_in_bigquery_as_they_say(world: World) -> None:
    from google.cloud import bigquery

    client = bigquery.Client()
    found, expected = {}, {}
    for model in world.models:
        if by := model.config.get("partition_by"):
            table = client.get_table(f"{PROJECT}.{model.schema}.{model.alias}")
            told = table.time_partitioning
            found[model.name] = told and (told.field, told.type_, table.clustering_fields)
            expected[model.name] = (by["field"], "MONTH", model.config.get("cluster_by"))
    assert found == expected
    assert len(expected) > 10


def test_no_number_has_only_four_bytes(world: World) -> None:
    """Seven digits are too few for cents of a large amount, and DuckDB calls that a float."""
    sql = (
        "select schema_name, table_name, column_name from duckdb_columns()"
        " where data_type = 'FLOAT' and database_name = current_database() and not internal"
    )
    assert world.ask["duckdb"](sql).rows == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((decimal.Decimal("10.00"),), (decimal.Decimal("10.01"),)),
        (("a", None), ("a", 0)),
        ((dt.datetime(2026, 1, 1, tzinfo=dt.UTC),), (dt.datetime(2026, 1, 1, 1),)),
        ((1.0,), (1.00001,)),
    ],
)
def test_a_difference_is_seen(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert differences(in_order([one]), in_order([other]), ["x", "y"][: len(one)])


def test_what_only_looks_different_is_equal() -> None:
    one = [(decimal.Decimal("10.50"), dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), 0.1 + 0.2)]
    other = [(decimal.Decimal("10.5"), dt.datetime(2026, 1, 1), 0.3)]
    assert differences(in_order(one), in_order(other), ["a", "b", "c"]) == []
