"""MRR and waterfall: steps add up from the start to the end of the month."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from metrics.dashboards import mrr
from metrics.dashboards.choices import read_query
from metrics.dashboards.published import Published
from metrics.dashboards.shapes import Board
from metrics.manifest import ProjectDoc
from portal import text
from tests.metrics.dashboards.published import publish

pytestmark = pytest.mark.slow


def board(query: str = "", **more) -> Board:
    publish("a.duckdb", **more)
    return mrr.read(Published("a.duckdb"), read_query(query), ProjectDoc())


def test_the_steps_lead_from_start_to_end():
    rows = board().section("waterfall").table.rows
    assert [row["label"] for row in rows] == [
        "At the start",
        "New",
        "Expansion",
        "Reactivated",
        "Contraction",
        "Churned",
        "Exchange rates",
        "At the end",
    ]
    assert rows[0]["running"] + sum(row["moved"] for row in rows[1:-1]) == rows[-1]["running"]


def test_the_sentence_says_from_where_to_where_and_why():
    found = board("month=2026-04")
    month = Published("a.duckdb").rows("mart_finance.mrr_monthly", where="month = '2026-04-01'", order="month")[0]
    finding = found.section("waterfall").finding
    assert f"from {text.money(month['start_mrr'])} to {text.money(month['mrr'])}" in finding
    assert "brought the most" in finding


def test_months_come_newest_first_and_add_up():
    for row in board("months=12").section("months").table.rows:
        moved = sum(
            row[name] for name in row if name.endswith("_mrr") and name not in ("start_mrr", "scheduled_churn_mrr")
        )
        assert row["start_mrr"] + moved == row["mrr"]
    months = [row["month"] for row in board("months=12").section("months").table.rows]
    assert months == sorted(months, reverse=True)
    assert len(months) == 12


def test_a_month_of_a_few_days_is_no_weak_month():
    finding = board().section("months").finding
    assert "of 23 months" in finding
    assert "November 2026" not in finding


def test_what_is_cancelled_is_summed_up():
    section = board().section("scheduled")
    total = sum(row["mrr"] for row in section.table.rows)
    assert section.finding.startswith(f"{text.money(total)} of today's MRR will end with its period: 3 subscriptions")


def test_a_tile_for_exchange_rates_only_when_they_moved_something():
    assert "fx" not in [tile.key for tile in board().tiles]


def test_what_is_missing_is_said_section_by_section():
    found = board(without=["mart_finance.mrr_waterfall", "mart_finance.mrr_scheduled_churn"])
    assert "No waterfall yet" in found.section("waterfall").problem
    assert "No list of scheduled churn yet" in found.section("scheduled").problem
    assert not found.section("months").problem


RESTATED = [
    {
        "month": date(2026, 4, 1),
        "restated_on": date(2026, 6, day),
        "currency": currency,
        "mrr_before": Decimal(before),
        "mrr_after": Decimal(before) + 5,
        "change": Decimal(5),
        "customers": 1,
        "why": "an invoice of 14 April arrived",
        "sentence": f"April 2026 was restated on {day} June.",
    }
    for day, before, currency in ((9, "205.50", "usd"), (2, "200.50", "usd"), (1, "100", "eur"))
]


def restated_board() -> Board:
    publish("a.duckdb")
    return mrr.read(Published("a.duckdb", lambda: RESTATED), read_query("months=12"), ProjectDoc())


def test_a_restated_month_is_marked_with_what_was_published_first():
    section = restated_board().section("months")
    (marked,) = [row for row in section.table.rows if "restated_on" in row]
    assert (marked["month"], marked["first_mrr"]) == (date(2026, 4, 1), Decimal("200.50"))
    assert marked["restated_on"] == date(2026, 6, 9)
    assert "Apr 2026, restated" in [cells[0].words for cells in section.table.body()]
    assert "Restated after it was first published: April 2026." in section.note
    assert "first_mrr,restated_on" in next(iter(section.table.lines()))


def test_restatements_are_listed_to_the_cent_the_newest_first():
    section = restated_board().section("restated")
    assert section.finding == "April 2026 was restated on 9 June."
    assert [cell.words for cell in section.table.body()[0]][2:5] == ["$205.50", "$210.50", "+$5.00"]


def test_while_nothing_was_restated_nothing_is_said_of_it():
    found = board("months=12")
    assert found.section("restated") is None
    assert "restated_on" not in next(iter(found.section("months").table.lines()))


def test_the_second_reading_says_for_whom_it_differs():
    section = board().section("readings")
    assert section.finding == (
        "Read from invoices and from what Stripe says of subscriptions now, MRR is the same for 37 of 40 customers; "
        "2 differ for a known reason and 1 differs and nobody knows why."
    )
    assert "watched since 16 September 2026" in section.note
    assert [cell.words for cell in section.table.body()[1]][2:] == ["$12.50", "$10.00", "unexplained"]
    assert board(without=["mart_finance.mrr_readings"]).section("readings") is None
