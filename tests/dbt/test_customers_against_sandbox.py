"""Who the sandbox company's customers are in its other systems against how dbt finds them there: never a wrong one."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from metrics.dbt_project import PROJECT_DIR
from metrics.dbt_types import BuildOutcome
from sandbox import truth, truth_customers
from sandbox.company import Company
from tests.dbt.helpers import STRIPE, Warehouse, problems
from tests.dbt.raw_schema import RAW_SCHEMA
from tests.dbt.sandbox_people import hubspot_rows, intercom_rows, product_rows
from tests.dbt.sandbox_rows import load_by_file, stripe_rows

pytestmark = pytest.mark.slow

OPENED = dt.datetime(2026, 11, 15, 10, 30, tzinfo=dt.UTC)
AS_OF = OPENED.strftime("%Y-%m-%d %H:%M:%S")
TABLES = tuple(table for table in RAW_SCHEMA if table.split(".")[0] in {"raw_stripe", "raw_hubspot", "raw_intercom"})
PRODUCT = ("raw_postgres.workspaces", "raw_postgres.users")
World = tuple[Company, Warehouse]


def _rate(currency: str, day: dt.date) -> Decimal:
    if currency == "usd":
        return Decimal(1)
    with (PROJECT_DIR / "seeds" / "fx_rates.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["currency"] == currency]
    known = [(dt.date.fromisoformat(row["rate_date"]), Decimal(row["usd_rate"])) for row in rows]
    return max(pair for pair in known if pair[0] <= day)[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    company = Company(seed=1, opened_at=int(OPENED.timestamp()), scale=0.4)
    company.run(int(OPENED.timestamp()))
    warehouse = Warehouse(folder, (*TABLES, *PRODUCT), {"as_of": AS_OF})
    for rows in (stripe_rows, hubspot_rows, intercom_rows, product_rows):
        load_by_file(warehouse.path, rows(company), folder)
    return company, warehouse


@pytest.fixture
def world(built: World) -> Iterator[World]:
    """The company, and its warehouse with the switches as they are by default afterwards."""
    yield built
    built[1].vars = {"as_of": AS_OF}


def _customers(warehouse: Warehouse, columns: str) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in warehouse.rows(f"select customer_id, {columns} from mart_core.customers")}


def _ways(warehouse: Warehouse, column: str) -> set[str]:
    return {way for (way,) in _customers(warehouse, column).values()}


def test_every_customer_is_found_everywhere_with_what_is_true_of_it(world: World) -> None:
    company, warehouse = world
    assert problems(warehouse.build()) == []
    expected = {
        customer: (
            *(each.hubspot_company_id, each.owner, each.open_deals),
            *(each.workspace_id, each.plan, each.seats, each.last_seen_at),
            *(each.intercom_company_id, each.open_conversations),
        )
        for customer, each in truth_customers.accounts(company).items()
    }
    ours = _customers(
        warehouse,
        "hubspot_company_id, owner, open_deals, workspace_id, plan, seats, epoch(last_seen_at)::bigint,"
        " intercom_company_id, open_conversations",
    )
    assert ours == expected
    assert len(ours) > 300
    assert sum(row[-1] for row in ours.values()) > 0
    for column in ("product_match", "hubspot_match", "intercom_match"):
        assert _ways(warehouse, column) == {"stripe id"}
    worth = {customer: mrr for customer, (mrr,) in _customers(warehouse, "mrr").items() if mrr}
    assert worth == truth.mrr_on(company, OPENED.date(), rates=_rate)


def test_without_ids_domains_and_workspaces_find_the_same(world: World) -> None:
    company, warehouse = world
    warehouse.vars = {"as_of": AS_OF, "hubspot_stripe_id_property": "none", "intercom_stripe_id_attribute": "none"}
    assert problems(warehouse.build()) == []
    assert _customers(warehouse, "hubspot_match, hubspot_company_id, intercom_match, intercom_company_id") == {
        customer: ("domain", each.hubspot_company_id, "workspace", each.intercom_company_id)
        for customer, each in truth_customers.accounts(company).items()
    }


def test_by_mail_addresses_alone_some_are_not_found_and_none_is_wrong(world: World) -> None:
    company, warehouse = world
    for change in ("raw_hubspot.companies set domain = null", "raw_postgres.workspaces set stripe_customer_id = null"):
        warehouse.execute(f"update {change}")
    warehouse.vars = {"as_of": AS_OF, "hubspot_stripe_id_property": "none", "intercom_stripe_id_attribute": "none"}
    assert problems(warehouse.build()) == []
    accounts = truth_customers.accounts(company)
    systems = {"hubspot": "hubspot_company_id", "product": "workspace_id", "intercom": "intercom_company_id"}
    for system, column in systems.items():
        ours = _customers(warehouse, f"{system}_match, {column}")
        found = {customer: record for customer, (way, record) in ours.items() if way == "e-mail"}
        assert found == {customer: getattr(accounts[customer], column) for customer in found}, system
        assert all(record is None for way, record in ours.values() if way != "e-mail")
        assert len(found) > 0.9 * len(accounts), system
    for table in ("raw_hubspot.companies", "raw_postgres.workspaces"):
        warehouse.execute(f"delete from {table}")
    for rows in (hubspot_rows(company), product_rows(company)):
        same = {
            name: table for name, table in rows.items() if name in {"raw_hubspot.companies", "raw_postgres.workspaces"}
        }
        load_by_file(warehouse.path, same, warehouse.folder)


def test_a_double_company_is_said_and_nobody_guesses(world: World) -> None:
    company, warehouse = world
    customer, account = next(iter(truth_customers.accounts(company).items()))
    double = f"select * replace ('1' as id) from raw_hubspot.companies where id = '{account.hubspot_company_id}'"
    warehouse.execute(f"insert into raw_hubspot.companies {double}")
    outcome = warehouse.build()
    warehouse.execute("delete from raw_hubspot.companies where id = '1'")
    assert problems(outcome) == []
    assert _warned(outcome) >= {"customers_are_found_without_doubt"}
    ours = _customers(warehouse, "hubspot_match, hubspot_company_id, open_deals, intercom_match")
    assert ours.pop(customer) == ("ambiguous", None, None, "stripe id")
    assert {way for way, *_ in ours.values()} == {"stripe id"}


def _warned(outcome: BuildOutcome) -> set[str]:
    return {node.name for node in outcome.nodes if node.status == "warn"}


def test_with_stripe_alone_the_other_columns_are_empty(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, STRIPE, {"as_of": AS_OF})
    warehouse.insert(stripe__customers=[{"id": "cus_1", "name": "Acme", "email": "ada@acme.example"}])
    outcome = warehouse.build()
    assert problems(outcome) == []
    assert warehouse.rows(
        "select customer, mrr, product_match, seats, hubspot_match, open_deals, intercom_match, open_conversations"
        " from mart_core.customers"
    ) == [("Acme", Decimal("0.00"), None, None, None, None, None, None)]
    assert {sentence.split(":")[0] for sentence in outcome.left_out} >= {
        "mart_sales.deals",
        "mart_sales.stage_conversion",
        "mart_sales.pipeline_velocity",
        "mart_support.conversations_daily",
    }
    assert not any(name.startswith(("mart_sales", "mart_support")) for name in outcome.touched)


def test_a_crm_without_ties_owners_and_companies_still_shows_its_deals(tmp_path: Path) -> None:
    tables = ("deals", "deal_stage_history", "pipeline_stages")
    warehouse = Warehouse(tmp_path, tuple(f"raw_hubspot.{name}" for name in tables), {"as_of": AS_OF})
    warehouse.insert(
        hubspot__deals=[
            {
                "id": "1",
                "dealname": "Boats",
                "amount": 10,
                "pipeline": "default",
                "dealstage": "talk",
                "archived": False,
                "created_at": OPENED,
            }
        ],
        hubspot__pipeline_stages=[
            {"object_type": "deals", "pipeline_id": "default", "id": "talk", "label": "Talk", "is_closed": False}
        ],
    )
    outcome = warehouse.build()
    assert problems(outcome) == []
    assert warehouse.rows(
        "select deal_name, pipeline, stage, is_open, amount, company, owner from mart_sales.deals"
    ) == [("Boats", "default", "Talk", True, Decimal("10.00"), None, None)]
    assert "mart_core.customers" in {sentence.split(":")[0] for sentence in outcome.left_out}
    assert _warned(outcome) == {"every_deal_has_a_stage_history"}
