"""The sandbox company's true sales against what dbt makes of its CRM: equal in every number."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from portal.truth_questions import rate
from sandbox import truth_sales
from sandbox.company import Company
from sandbox.crm import LOST, OPEN_STAGES, WON
from sandbox.timeline import DAY, day_of, utc
from tests.dbt.helpers import Warehouse, problems
from tests.dbt.raw_schema import RAW_SCHEMA
from tests.dbt.sandbox_people import hubspot_rows
from tests.dbt.sandbox_rows import load_by_file

pytestmark = pytest.mark.slow

HUBSPOT = tuple(table for table in RAW_SCHEMA if table.startswith("raw_hubspot."))
OPENED = dt.datetime(2026, 11, 15, 10, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module", params=[1, 7], ids=["seed-1", "seed-7"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Warehouse]:
    """A smaller company with every kind of story in it, built."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    company = Company(seed=request.param, opened_at=int(OPENED.timestamp()), scale=0.4)
    company.run(int(OPENED.timestamp()))
    warehouse = Warehouse(folder, HUBSPOT, {"as_of": OPENED.strftime("%Y-%m-%d %H:%M:%S")})
    load_by_file(warehouse.path, hubspot_rows(company), folder)
    assert problems(warehouse.build()) == []
    return company, warehouse


def test_every_deal_that_counts_is_there_with_its_outcome_days_and_money(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ways = truth_sales.stage_history(company)
    deals = company.sales.crm.deals
    expected = {}
    for deal in deals.values():
        if deal.archived_at is not None:
            continue
        (_, created_at), (stage, moved_at) = ways[deal.id][0], ways[deal.id][-1]
        closed_at = moved_at if stage in (WON, LOST) else None
        worth = rate(deal.currency, day_of(closed_at or company.now))
        expected[str(deal.id)] = (
            stage,
            stage == WON,
            stage == LOST,
            stage in OPEN_STAGES,
            (deal.amount * worth).quantize(Decimal(1), ROUND_HALF_UP).scaleb(-2),
            Decimal(deal.amount).scaleb(-2),
            deal.currency,
            deal.owner.name if deal.owner else None,
            deal.company.name,
            utc(created_at).replace(tzinfo=None),
            utc(closed_at).replace(tzinfo=None) if closed_at else None,
            (moved_at - created_at) / DAY if stage == WON else None,
            (company.now - created_at) / DAY if closed_at is None else None,
        )
    rows = warehouse.rows(
        "select deal_id, stage_id, is_won, is_lost, is_open, amount, own_amount, own_currency, owner, company, created_at,"
        " closed_at, cycle_days, open_age_days from mart_sales.deals"
    )
    assert {row[0]: row[1:] for row in rows} == expected
    assert len(expected) < len(deals)
    assert {currency for *_, currency, _, _, _, _, _, _ in expected.values()} >= {"usd", "eur"}


def test_every_stay_is_the_true_one(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours: dict[int, list[tuple[str, int]]] = {}
    for deal, stage, moment in warehouse.rows(
        "select deal_id, stage_id, epoch(entered_at)::bigint from intermediate.int_sales__deal_stays order by deal_id, position"
    ):
        ours.setdefault(int(deal), []).append((stage, moment))
    gone = {deal.id for deal in company.sales.crm.deals.values() if deal.archived_at is not None}
    assert ours == {deal: way for deal, way in truth_sales.stage_history(company).items() if deal not in gone}


def test_every_cohort_converts_as_it_truly_did(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    truth = {
        key: (each.entered, each.moved_on, each.skipped_next, each.undecided, each.moved_on / each.entered)
        for key, each in truth_sales.stage_conversion(company).items()
    }
    rows = warehouse.rows(
        "select cohort_month, stage_id, deals_entered, deals_moved_on, deals_skipped_next, deals_undecided, conversion"
        " from mart_sales.stage_conversion"
    )
    assert {row[:2]: row[2:] for row in rows} == truth
    assert len(rows) == len(truth) > 100
    assert sum(row[4] for row in rows) > 5
    assert sum(row[5] for row in rows) > 0


def test_every_month_moves_as_fast_as_it_truly_did(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    truth = [
        (
            *(
                each.month,
                each.open,
                each.won,
                each.lost,
                each.won / (each.won + each.lost) if each.won + each.lost else None,
            ),
            *(each.average, each.cycle_days, each.per_day),
        )
        for each in truth_sales.velocity(company, rates=rate)
    ]
    for pipeline in ("default", "all"):
        rows = warehouse.rows(
            "select month, open_deals, won_deals, lost_deals, win_rate, average_won_amount, median_cycle_days,"
            f" velocity_per_day from mart_sales.pipeline_velocity where pipeline_id = '{pipeline}' order by month"
        )
        assert rows == truth
    assert len(truth) >= 25
    assert sum(each[-1] is not None for each in truth) > 12


def test_win_rate_and_cycle_of_all_time_are_the_true_ones(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    [(win_rate, cycle)] = warehouse.rows(
        "select count(*) filter (is_won) / count(*) filter (is_won or is_lost), median(cycle_days) from mart_sales.deals"
    )
    assert win_rate == truth_sales.win_rate(company, 0, company.now + 1)
    assert cycle == pytest.approx(truth_sales.sales_cycle_days(company, 0, company.now + 1), rel=1e-12)
