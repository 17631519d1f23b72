"""What truly happened on the sandbox company's support desk against what dbt makes of Intercom: equal on every day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from sandbox import truth_support
from sandbox.company import Company
from tests.dbt.helpers import Warehouse, problems
from tests.dbt.raw_schema import RAW_SCHEMA
from tests.dbt.sandbox_people import intercom_rows
from tests.dbt.sandbox_rows import load_by_file

pytestmark = pytest.mark.slow

INTERCOM = tuple(table for table in RAW_SCHEMA if table.startswith("raw_intercom."))
OPENED = dt.datetime(2026, 11, 15, 10, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module", params=[1, 7], ids=["seed-1", "seed-7"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Warehouse]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    company = Company(seed=request.param, opened_at=int(OPENED.timestamp()), scale=0.4)
    company.run(int(OPENED.timestamp()))
    warehouse = Warehouse(folder, INTERCOM, {"as_of": OPENED.strftime("%Y-%m-%d %H:%M:%S")})
    load_by_file(warehouse.path, intercom_rows(company), folder)
    assert problems(warehouse.build()) == []
    return company, warehouse


def _hours(seconds: float | None) -> Any:
    """Where a percentile lies between two neighbours, the last bit is the engine's own."""
    return None if seconds is None else pytest.approx(seconds / 3600, rel=1e-12)


def test_every_day_is_the_true_one(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    truth = {}
    for day, each in truth_support.days(company).items():
        median, p90 = (
            [
                _hours(truth_support.percentile(seconds, fraction))
                for seconds in (each.first_responses, each.resolutions)
            ]
            for fraction in (0.5, 0.9)
        )
        satisfied = sum(rating >= 4 for rating in each.ratings)
        truth[day] = (
            *("Customer support", each.opened, each.closed, each.reopened),
            *(len(each.first_responses), median[0], p90[0], len(each.resolutions), median[1], p90[1]),
            *(len(each.ratings), sum(each.ratings) / len(each.ratings) if each.ratings else None),
            satisfied / len(each.ratings) if each.ratings else None,
        )
    rows = warehouse.rows(
        "select day, team, opened, closed, reopened, first_responses, median_first_response_hours,"
        " p90_first_response_hours, resolved, median_resolution_hours, p90_resolution_hours, ratings, average_rating, csat"
        " from mart_support.conversations_daily"
    )
    assert {row[0]: row[1:] for row in rows} == truth
    assert len(rows) > 300
    assert sum(row[4] for row in rows) > 10


def test_what_was_opened_and_not_closed_is_open_now(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    is_open = sum(each.state != "closed" for each in company.support.conversations.values())
    told = warehouse.rows("select sum(opened) + sum(reopened) - sum(closed) from mart_support.conversations_daily")
    assert told == [(is_open,)]
