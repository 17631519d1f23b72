"""MRR that is kept by customer: the same as if everything were computed anew, whatever happened to the rows, or only time.

Histories nobody thought of are followed from build to build in DuckDB; changes by hand in all three warehouses.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrics import dbt_project
from metrics.dbt_adapter import build
from metrics.dbt_types import BuildRequest
from portal.warehouse.names import spoken
from sandbox.company import Company
from sandbox.timeline import DAY
from tests.dbt.billing import Billing, at
from tests.dbt.helpers import STRIPE, Warehouse, every_rule, problems
from tests.dbt.sandbox_rows import load_by_file, stripe_rows
from tests.dbt.test_mrr_of_random_histories import OPENED, Story, histories
from tests.dbt.test_three_warehouses import comparable
from tests.warehouses.emulator import PROJECT
from tests.warehouses.fixtures import new_database
from tests.warehouses.loading import into_bigquery, into_postgres

pytestmark = pytest.mark.slow

COMPUTED = "intermediate.int_mrr__changed_customers"
REMEMBERED = "intermediate.int_mrr__kept_customers"
MARTS = ("mart_finance.mrr_events", "mart_finance.mrr_monthly", "mart_finance.revenue_retention")
Query = Callable[[str], list[tuple[Any, ...]]]


def kept_tables(url: str, work_dir: Path) -> list[str]:
    """Every table whose rows stay from build to build, to be computed again (not what remembers the builds themselves)."""
    nodes = dbt_project.parsed(dbt_project.Location(url, work_dir)).nodes.values()
    below = [
        f"{spoken(node.schema)}.{node.alias}"
        for node in nodes
        if node.config.materialized == "incremental"
        and "finance" in node.original_file_path
        and spoken(node.schema) != "snapshots"
    ]
    return sorted(set(below) - {REMEMBERED})


def rows_of(query: Query, tables: list[str]) -> dict[str, list[tuple[str, ...]]]:
    return {
        table: sorted(tuple(repr(comparable(value)) for value in row) for row in query(f"select * from {table}"))
        for table in tables
    }


# --- histories nobody thought of --------------------------------------------------------------------------------------
# Days of the company's life: what its rows are of, and the moment of the build. In between days pass without a row.
BUILDS = [(400, 400), (401, 402), (404, 436), (470, 471), (470, 471)]


@settings(
    max_examples=1,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(histories, min_size=60, max_size=60))
def test_from_build_to_build_all_is_as_if_computed_anew(drawn: list[dict[str, Any]]) -> None:
    company = Company(seed=11, opened_at=OPENED, scale=0.01)
    stories = [Story(company, number, each) for number, each in enumerate(drawn)]
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        kept = Warehouse(Path(folder) / "kept", STRIPE)
        anew = Warehouse(Path(folder) / "anew", STRIPE)
        tables = kept_tables(f"duckdb:///{kept.path}", kept.work_dir)
        assert len(tables) > 6
        rules = every_rule(f"duckdb:///{kept.path}", kept.work_dir)
        for day, moment in BUILDS:
            company.run(company.start + day * DAY + 12 * 3600)
            for table in STRIPE:
                kept.execute(f"delete from {table}")
            load_by_file(kept.path, stripe_rows(company), Path(folder))
            shutil.copy(kept.path, anew.path)
            as_of = dt.datetime.fromtimestamp(company.start + moment * DAY + 13 * 3600, dt.UTC)
            kept.vars = anew.vars = {"as_of": f"{as_of:%Y-%m-%d %H:%M:%S}"}
            assert problems(kept.build(*STRIPE)) == []
            # Of equal rows all rules say the same: they are asked once.
            assert problems(anew.build(full_refresh=True, without_tests=rules)) == []
            shares.append(kept.rows(f"select count(*) from {COMPUTED}")[0][0] / len(stories))
            compared = [*tables, *MARTS]
            assert rows_of(kept.rows, compared) == rows_of(anew.rows, compared), (day, moment)
    assert shares[1] < 0.8 < shares[0]
    assert shares[-1] < 0.2  # nobody but those with something that is dated by each build


# --- by hand, in three warehouses -------------------------------------------------------------------------------------
def company_of_few() -> Billing:
    """Four who pay each month, the last one on paper: until it is overdue nobody can tell."""
    billing = Billing()
    for name, customer, amount in (("a", "cus_a", 1000), ("b", "cus_b", 2000), ("c", "cus_c", 3000)):
        billing.subscribe(name, customer, amount, created="2026-01-05")
        for month in (1, 2, 3):
            billing.invoice(name, customer, f"2026-{month:02d}-05", f"2026-{month + 1:02d}-05", amount)
    billing.subscribe("d", "cus_d", 4000, created="2026-01-05")
    billing.invoice("d", "cus_d", "2026-01-05", "2026-02-05", 4000)
    billing.invoice("d", "cus_d", "2026-02-05", "2026-03-05", 4000, paid=None, due_date=at("2026-02-20"))
    billing.rows["stripe__customers"] += [{"id": f"cus_{name}", "currency": "usd"} for name in "abcd"]
    return billing


LINES, INVOICES, ITEMS = "raw_stripe.invoice_lines", "raw_stripe.invoices", "raw_stripe.subscription_items"
FIRST = "2026-03-20 12:00:00"
LATER_THAT_DAY = "2026-03-20 12:30:00"
# What happens, when it is built, and who is computed.
STORIES: list[tuple[str, list[str], str, set[str]]] = [
    ("nothing", [], FIRST, set()),
    (
        "a line changes, invoices of another vanish, the items of a third change",
        [
            f"update {LINES} set amount = 1500 where invoice_id = 'in_a_2026-02-05'",
            f"delete from {LINES} where invoice_id = 'in_b_2026-03-05'",
            f"delete from {INVOICES} where id = 'in_b_2026-03-05'",
            f"update {ITEMS} set quantity = 2 where id = 'si_c'",
        ],
        # Two builds of the same second would be one moment for dbt's snapshots, and BigQuery refuses that.
        LATER_THAT_DAY,
        {"cus_a", "cus_b", "cus_c"},
    ),
    # What is not invoiced yet is dated by the build, so this customer is computed in every one.
    ("two days in which nothing is overdue", [], "2026-03-21 12:00:00", {"cus_c"}),
    ("an invoice is a month late", [], "2026-03-23 12:00:00", {"cus_c", "cus_d"}),
    ("a month begins", [], "2026-04-01 12:00:00", {"cus_a", "cus_b", "cus_c", "cus_d"}),
    (
        "a customer is gone, another one has always been there",
        [
            f"delete from {LINES} where customer_id = 'cus_a'",
            f"delete from {INVOICES} where customer_id = 'cus_a'",
            f"delete from {ITEMS} where id = 'si_a'",
            "delete from raw_stripe.subscriptions where customer_id = 'cus_a'",
            f"update {ITEMS} set quantity = 1 where id = 'si_c'",
            f"update {INVOICES} set customer_id = 'cus_e' where customer_id = 'cus_b'",
            f"update {LINES} set customer_id = 'cus_e' where customer_id = 'cus_b'",
            "update raw_stripe.subscriptions set customer_id = 'cus_e' where customer_id = 'cus_b'",
        ],
        "2026-04-01 12:00:00",
        {"cus_a", "cus_b", "cus_c", "cus_e"},
    ),
    ("a day that is over comes again", [], "2026-03-21 12:00:00", {"cus_c", "cus_d", "cus_e"}),
]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with the raw rows."""
    warehouse = Warehouse(tmp_path_factory.mktemp("few"), STRIPE)
    warehouse.insert(**company_of_few().rows)
    return warehouse.path


@pytest.fixture(scope="module")
def built(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("built"), STRIPE, {"as_of": FIRST})
    shutil.copy(few, warehouse.path)
    assert problems(warehouse.build()) == []
    return warehouse


@pytest.fixture(scope="module")
def anew(few: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[tuple[str, ...]]]]:
    """What everything is after each story when all is computed anew, in DuckDB.

    No rules: of equal rows they say the same, and where the rows are compared with these they are asked.
    """
    warehouse = Warehouse(tmp_path_factory.mktemp("anew"), STRIPE)
    shutil.copy(few, warehouse.path)
    url = f"duckdb:///{warehouse.path}"
    rules = every_rule(url, warehouse.work_dir)
    tables = [*kept_tables(url, warehouse.work_dir), *MARTS]
    found = []
    for _what, changes, as_of, _customers in STORIES:
        for change in changes:
            warehouse.execute(change)
        warehouse.vars = {"as_of": as_of}
        assert problems(warehouse.build(full_refresh=True, without_tests=rules)) == []
        found.append(rows_of(warehouse.rows, tables))
    return found


@pytest.fixture(params=["duckdb", "postgres", "bigquery"])
def place(
    request: pytest.FixtureRequest, few: Path, tmp_path: Path
) -> Iterator[tuple[str, Query, Callable[[str], object]]]:
    """A warehouse with the same rows: its address, and how to ask and to tell it something."""
    raw = tmp_path / "raw.duckdb"
    shutil.copy(few, raw)
    if request.param == "duckdb":
        made = Warehouse(tmp_path / "duckdb", STRIPE)
        shutil.copy(few, made.path)
        yield f"duckdb:///{made.path}", made.rows, made.execute
    elif request.param == "postgres":
        url = new_database(request.getfixturevalue("postgres_server"), "incremental_mrr")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("set timezone = 'UTC'")
            into_postgres(raw, connection, STRIPE)
            yield url, lambda sql: connection.execute(sql).fetchall(), connection.execute
    else:
        request.getfixturevalue("bigquery_emulator")
        from google.cloud import bigquery

        client = bigquery.Client()
        into_bigquery(raw, tmp_path, STRIPE)
        yield (
            f"bigquery://{PROJECT}/EU",
            lambda sql: [tuple(row.values()) for row in client.query(sql).result()],
            lambda sql: client.query(sql).result(),
        )


def candidate(query: Query, url: str) -> Query:
    """Marts have another name where they are built beside those that are published."""
    return query if url.startswith("duckdb") else lambda sql: query(sql.replace(" mart_", " candidate_mart_"))


def test_changes_by_hand_and_days_that_pass(
    place: tuple[str, Query, Callable[[str], object]],
    anew: list[dict[str, list[tuple[str, ...]]]],
    tmp_path: Path,
) -> None:
    url, query, execute = place
    ask = candidate(query, url)
    told = list(zip(STORIES, anew, strict=True))
    without: frozenset[str] = frozenset()
    if url.startswith("bigquery"):
        # The emulator takes half a minute for a build: what rows change, and what time does, and no rules.
        told = told[1:4:2]
        without = every_rule(url, tmp_path / "dbt")

    def built(as_of: str) -> list[str]:
        variables = {"as_of": as_of}
        request = BuildRequest(STRIPE, frozenset(STRIPE), url, tmp_path / "dbt", vars=variables, without_tests=without)
        return problems(build(request))

    assert built(FIRST) == []
    for (what, changes, as_of, customers), expected in told:
        for change in changes:
            execute(change)
        assert built(as_of) == [], what
        assert {row[0] for row in query(f"select customer_id from {COMPUTED}")} == customers, what
        assert rows_of(ask, list(expected)) == expected, what


def test_a_build_that_broke_off_is_made_up_for(built: Warehouse, tmp_path: Path) -> None:
    """Nothing is remembered before everything that is kept has been computed."""
    warehouse = built.copy(tmp_path)
    tables = kept_tables(f"duckdb:///{warehouse.path}", warehouse.work_dir)
    before = rows_of(warehouse.rows, tables)
    warehouse.execute(f"update {LINES} set amount = 1500 where invoice_id = 'in_a_2026-02-05'")
    location = dbt_project.Location(f"duckdb:///{warehouse.path}", warehouse.work_dir)
    half = [
        "run",
        "--select",
        "int_mrr__changed_customers",
        "int_stripe__recurring_lines",
        "--vars",
        str({"as_of": FIRST}),
    ]
    assert dbt_project.invoke(half, location, dbt_project.parsed(location)).success
    assert problems(warehouse.build(*STRIPE)) == []
    ours = rows_of(warehouse.rows, tables)
    assert problems(warehouse.build(full_refresh=True)) == []
    assert ours == rows_of(warehouse.rows, tables) != before


def test_an_invoice_of_two_customers_is_held(built: Warehouse, tmp_path: Path) -> None:
    warehouse = built.copy(tmp_path)
    warehouse.execute(f"update {LINES} set customer_id = 'cus_b' where invoice_id = 'in_a_2026-02-05'")
    failing = [node.name for node in warehouse.build(*STRIPE).failing_tests]
    assert failing == ["an_invoice_has_one_customer"]


def test_in_pieces_it_is_the_same(few: Path, tmp_path: Path) -> None:
    """A large company is computed for a part of its customers at a time, at first and when all have changed."""
    warehouse = Warehouse(tmp_path, STRIPE, {"as_of": FIRST})
    shutil.copy(few, warehouse.path)
    tables = kept_tables(f"duckdb:///{warehouse.path}", warehouse.work_dir)
    found = []
    for rows_at_once in (1_000_000, 3):
        for as_of in (FIRST, "2026-04-01 12:00:00"):
            warehouse.vars = {"as_of": as_of, "rows_at_once": rows_at_once}
            assert problems(warehouse.build(*STRIPE)) == []
            found.append(rows_of(warehouse.rows, tables))
    assert warehouse.rows(f"select sum(input_rows) // 3 from {COMPUTED}")[0][0] > 5
    assert found[0] == found[2] != found[1] == found[3]
