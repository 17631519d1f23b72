"""The sandbox company's conversations and pull requests, counted by dbt and by what really happened."""

from __future__ import annotations

import datetime as dt
from dataclasses import astuple
from pathlib import Path

import pytest

from sandbox import truth_engineering, truth_team
from sandbox.company import Company
from tests.dbt.helpers import Warehouse, problems
from tests.dbt.raw_schema import RAW_SCHEMA
from tests.dbt.sandbox_rows import load_by_file
from tests.dbt.sandbox_usage import github_rows, slack_rows

pytestmark = pytest.mark.slow

OPENED = dt.datetime(2026, 11, 15, 10, 30, tzinfo=dt.UTC)
TABLES = tuple(table for table in RAW_SCHEMA if table.startswith(("raw_slack.", "raw_github.")))


@pytest.fixture(scope="module", params=[1, 7], ids=["seed-1", "seed-7"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Warehouse]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    company = Company(seed=request.param, opened_at=int(OPENED.timestamp()), scale=0.4)
    company.run(int(OPENED.timestamp()))
    warehouse = Warehouse(folder, TABLES, {"as_of": OPENED.strftime("%Y-%m-%d %H:%M:%S")})
    load_by_file(warehouse.path, {**slack_rows(company), **github_rows(company)}, folder)
    assert problems(warehouse.build()) == []
    return company, warehouse


def test_every_channel_is_as_lively_as_it_was(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours = warehouse.rows(
        "select day, channel_name, messages, thread_replies, reactions, authors"
        " from mart_team.slack_activity_daily order by day, channel_name"
    )
    assert ours == [astuple(each) for each in truth_team.channel_days(company)]
    assert len(ours) > 1000
    assert all(sum(row[place] for row in ours) > 100 for place in (2, 3, 4))
    assert warehouse.rows("select sum(bot_messages + bot_reactions) from mart_team.slack_activity_daily") == [(0,)]


def test_every_week_of_delivery_is_what_happened(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours = warehouse.rows(
        "select week, repository, opened, merged, median_lead_time_hours, median_time_to_first_review_hours,"
        " median_review_to_merge_hours, open_pull_requests, median_open_age_hours"
        " from mart_engineering.delivery_weekly order by repository, week"
    )
    theirs = sorted((astuple(each) for each in truth_engineering.weeks(company)), key=lambda row: (row[1], row[0]))
    counts = (0, 1, 2, 3, 7)
    assert [[row[place] for place in counts] for row in ours] == [[row[place] for place in counts] for row in theirs]
    for place in (4, 5, 6, 8):
        assert [row[place] for row in ours] == pytest.approx([row[place] for row in theirs])
    assert sum(row[3] for row in ours) > 200
