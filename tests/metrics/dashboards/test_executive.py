"""Executive: the numbers are those of the marts, and what is missing is said."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pytest
from django.core.cache import cache

from metrics.dashboards import executive
from metrics.dashboards.choices import read_query
from metrics.dashboards.published import Published
from metrics.dashboards.shapes import Board, Tile
from metrics.manifest import ProjectDoc
from portal import text
from tests.metrics.dashboards.published import publish

pytestmark = pytest.mark.slow


def board(query: str = "", **more) -> Board:
    publish("a.duckdb", **more)
    return executive.read(Published("a.duckdb"), read_query(query), ProjectDoc())


def tile(found: Board, key: str) -> Tile:
    return next(one for one in found.tiles if one.key == key)


def mart(name: str, where: str) -> dict:
    return Published("a.duckdb").rows(f"mart_finance.{name}", order="month", where=where)[0]


def test_the_latest_month_is_marked_to_date_and_compared_with_the_one_before():
    found = tile(board(), "mrr")
    now, before = mart("mrr_monthly", "month = '2026-11-01'"), mart("mrr_monthly", "month = '2026-10-01'")
    assert found.label == "MRR, November 2026 to date"
    assert found.value == text.money(now["mrr"])
    assert found.note.startswith(text.money(now["mrr"] - before["mrr"], signed=True))
    assert found.note.endswith("against the end of October")


def test_a_past_month_is_as_it_was_then():
    found = board("month=2026-03")
    then = mart("mrr_monthly", "month = '2026-03-01'")
    assert tile(found, "mrr").label == "MRR, March 2026"
    assert tile(found, "mrr").value == text.money(then["mrr"])
    assert found.sections[0].table.rows[0]["month"] == then["month"]
    assert "March 2026" in found.sections[1].title


def test_a_restated_month_is_marked_beside_the_plan_too():
    publish("a.duckdb")
    change = {"month": date(2026, 4, 1), "restated_on": date(2026, 6, 9), "currency": "usd", "mrr_before": Decimal(200)}
    found = executive.read(Published("a.duckdb", lambda: [change]), read_query("months=12"), ProjectDoc())
    section = found.section("mrr")
    assert [cells[0].words for cells in section.table.body() if "restated" in cells[0].words] == ["Apr 2026, restated"]
    assert section.note == "Restated after it was first published: April 2026."
    assert board("months=12").section("mrr").note == ""


def test_rates_are_of_the_last_month_that_is_over():
    found = tile(board(), "nrr")
    over = mart("revenue_retention", "month = '2026-10-01'")
    running = mart("revenue_retention", "month = '2026-11-01'")
    assert found.value == text.percent(over["nrr"])
    assert "in October 2026" in found.note
    assert f"{text.percent(running['nrr'])} in November to date" in found.note


def test_arr_and_plan_are_the_marts_own():
    found = board()
    assert tile(found, "arr").value == text.money(mart("revenue_retention", "month = '2026-11-01'")["arr"])
    assert tile(found, "plan").value == text.percent(mart("plan_vs_actual", "month = '2026-11-01'")["percent_of_plan"])
    assert found.sections[0].finding.endswith("above plan for the end of November.")
    assert board("month=2026-10").sections[0].finding.endswith("above plan.")


def test_the_biggest_movements_come_first_and_add_up_to_their_change():
    table = board().section("movers").table
    sizes = [abs(row["change"]) for row in table.rows]
    assert sizes == sorted(sizes, reverse=True)
    for row in table.rows:
        assert row["start_mrr"] + row["change"] == row["mrr"]


def test_customers_are_called_by_their_names_as_far_as_these_are_known():
    path = publish("a.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema mart_core")
        connection.execute(
            "create table mart_core.customers as select distinct customer_id,"
            " case when customer_id like '%1' then null else 'Firm ' || customer_id end as customer"
            " from mart_finance.mrr_by_customer_month"
        )
    cache.clear()
    found = executive.read(Published("a.duckdb"), read_query(""), ProjectDoc()).section("movers")

    for row in found.table.rows:
        assert row["customer"] == (
            row["customer_id"] if row["customer_id"].endswith("1") else f"Firm {row['customer_id']}"
        )
    assert found.table.rows[0]["customer"] in found.finding


def test_without_a_plan_the_page_says_how_to_get_one():
    found = board(without=["mart_finance.plan_vs_actual"])
    assert tile(found, "plan").value == "unknown"
    assert "connect the finance team's sheet" in found.section("mrr").note
    assert "plan" not in found.section("mrr").finding


def test_without_retention_its_numbers_are_unknown_and_not_zero():
    found = board(without=["mart_finance.revenue_retention"])
    for key in ("arr", "nrr", "grr", "customer_churn"):
        assert tile(found, key).value == "unknown"
        assert "no revenue retention yet" in tile(found, key).note


def test_without_movements_by_customer_the_section_says_so():
    found = board(without=["mart_finance.mrr_by_customer_month"])
    assert "No movements by customer yet" in found.section("movers").problem


def test_without_mrr_there_is_one_sentence():
    assert "connect Stripe" in board(without=["mart_finance.mrr_monthly"]).problem
    assert "connect Stripe" in board(months=0).problem


def test_the_first_month_is_compared_with_nothing():
    found = board(months=1)
    assert tile(found, "mrr").note == "The first month"
    assert tile(found, "nrr").value == "n/a"
    assert not found.section("mrr").has_chart
