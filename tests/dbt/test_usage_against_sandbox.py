"""The sandbox company's true use of its product against what dbt makes of the events: equal to the last user."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import astuple
from pathlib import Path

import pytest

from sandbox import truth_features, truth_usage
from sandbox.company import Company
from sandbox.features import BY_NAME, DRIVERS
from tests.dbt.helpers import STRIPE, Warehouse, problems
from tests.dbt.sandbox_rows import load_by_file, stripe_rows
from tests.dbt.sandbox_usage import database_rows, mixpanel_rows

pytestmark = pytest.mark.slow

OPENED = dt.datetime(2026, 11, 15, 10, 30, tzinfo=dt.UTC)
NOW = {"as_of": OPENED.strftime("%Y-%m-%d %H:%M:%S")}
DATABASE = ("raw_postgres.events", "raw_postgres.users", "raw_postgres.workspaces")
EVENTS = {feature.event: name for name, feature in BY_NAME.items()}
ACTIVE = """select day, dau, wau, mau, daily_workspaces, weekly_workspaces, monthly_workspaces
    from mart_product.active_usage order by day"""


def company_of(seed: int) -> Company:
    company = Company(seed=seed, opened_at=int(OPENED.timestamp()), scale=0.4)
    company.run(int(OPENED.timestamp()))
    return company


@pytest.fixture(scope="module", params=[1, 7], ids=["seed-1", "seed-7"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Warehouse]:
    """A smaller company with its billing and its product's database, built."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    company = company_of(request.param)
    warehouse = Warehouse(folder, (*STRIPE, *DATABASE), dict(NOW))
    load_by_file(warehouse.path, {**stripe_rows(company), **database_rows(company)}, folder)
    assert problems(warehouse.build()) == []
    return company, warehouse


def test_active_users_and_workspaces_are_the_true_ones_on_every_day(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    theirs = [astuple(each) for each in truth_usage.active_days(company)]
    assert warehouse.rows(ACTIVE) == theirs
    assert len(theirs) > 700
    for day, dau, mau, stickiness in warehouse.rows("select day, dau, mau, stickiness from mart_product.active_usage"):
        assert stickiness == (dau / mau if mau else None), day


def test_people_come_back_to_features_as_often_as_they_did(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours = [
        (EVENTS[feature], *rest)
        for feature, *rest in warehouse.rows(
            "select feature, cohort_week, week_number, users, retained_users from mart_product.feature_retention"
        )
    ]
    assert sorted(ours) == sorted(astuple(each) for each in truth_features.retention_cells(company, weeks=26))
    assert len(ours) > 10_000


def test_workspaces_are_activated_when_they_were(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours = warehouse.rows(
        "select cohort_month, signed_up, decided, activated, median_days_to_activation from mart_product.activation order by 1"
    )
    theirs = [astuple(each) for each in truth_features.activations(company, needed=5, days=14)]
    assert [row[:4] for row in ours] == [row[:4] for row in theirs]
    assert [row[4] for row in ours] == pytest.approx([row[4] for row in theirs])
    assert 0 < sum(row[3] for row in ours) < sum(row[2] for row in ours) < sum(row[1] for row in ours)


def test_customers_with_and_without_a_feature_are_counted_as_the_truth_does(world: tuple[Company, Warehouse]) -> None:
    company, warehouse = world
    ours = {
        EVENTS[feature]: counts
        for feature, *counts in warehouse.rows(
            "select feature, accounts_with, accounts_without, days_with, days_without, left_with, left_without"
            " from mart_product.feature_adoption_effect"
        )
    }
    assert ours == {each.feature: list(astuple(each)[2:]) for each in truth_features.comparisons(company)}
    assert sum(each[4] + each[5] for each in ours.values()) > 300


def test_what_truly_keeps_customers_comes_first(world: tuple[Company, Warehouse]) -> None:
    _, warehouse = world
    rows = warehouse.rows(
        "select feature, difference_low, difference_high, finding from mart_product.feature_adoption_effect order by place"
    )
    assert {EVENTS[feature] for feature, *_ in rows[:2]} == set(DRIVERS)
    for feature, low, high, finding in rows:
        if EVENTS[feature] in DRIVERS:
            assert 0 < low < high
            assert finding in {"more stay", "perhaps more stay"}
        else:
            assert finding not in {"more stay", "fewer stay"}, feature


def test_the_interval_is_that_of_the_two_rates(world: tuple[Company, Warehouse]) -> None:
    """Recalculated from the counts, in another way than in SQL."""
    _, warehouse = world
    rows = warehouse.rows("select * from mart_product.feature_adoption_effect")
    names = [row[0] for row in warehouse.rows("describe mart_product.feature_adoption_effect")]
    for row in (dict(zip(names, values, strict=True)) for values in rows):
        days = row["days_with"] + row["days_without"]
        left = row["left_with"] + row["left_without"]
        assert row["expected_left_with"] + row["expected_left_without"] == pytest.approx(left)
        shares = {}
        for group in ("with", "without"):
            exposure = row[f"expected_left_{group}"] * days / left
            limits = _poisson_limits(row[f"left_{group}"])
            shares[group] = [math.exp(-90 * count / exposure) for count in (row[f"left_{group}"], *limits)]
            assert row[f"retention_90d_{group}"] == pytest.approx(shares[group][0])
            plain = math.exp(-90 * row[f"left_{group}"] / row[f"days_{group}"])
            assert row[f"plain_retention_90d_{group}"] == pytest.approx(plain)
        (here, here_high, here_low), (there, there_high, there_low) = shares["with"], shares["without"]
        assert row["difference"] == pytest.approx(here - there)
        # exact limits against the approximation of SQL: equal to a tenth of their distance
        wide = row["difference_high"] - row["difference_low"]
        assert row["difference_low"] == pytest.approx(
            here - there - math.hypot(here - here_low, there_high - there), abs=0.1 * wide
        )
        assert row["difference_high"] == pytest.approx(
            here - there + math.hypot(here_high - here, there - there_low), abs=0.1 * wide
        )


def _poisson_limits(count: int) -> tuple[float, float]:
    """The exact 95 % limits of a count, by bisection."""

    def at_most(mean: float, most: int) -> float:
        return sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(most + 1))

    def root(most: int, chance: float) -> float:
        low, high = 1e-9, 10.0 * (most + 5)
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(middle, most) > chance else (low, middle)
        return low

    return (root(count - 1, 0.975) if count else 0.0), root(count, 0.025)


def test_a_company_with_mixpanel_alone_has_the_same_users(tmp_path: Path) -> None:
    """What Mixpanel has not heard of yet is missing, and nothing else."""
    company = company_of(1)
    warehouse = Warehouse(tmp_path, ("raw_mixpanel.events",), dict(NOW))
    load_by_file(warehouse.path, mixpanel_rows(company), tmp_path)
    outcome = warehouse.build()
    assert problems(outcome) == []
    left_out = {sentence.partition(":")[0] for sentence in outcome.left_out}
    assert {"mart_product.activation", "mart_product.feature_adoption_effect"} <= left_out
    assert not {"mart_product.active_usage", "mart_product.feature_retention"} & left_out
    theirs = {each.date: astuple(each) for each in truth_usage.active_days(company)}
    ours = warehouse.rows(ACTIVE)
    everything_came_by = OPENED.date() - dt.timedelta(4)
    assert [row for row in ours if row[0] < everything_came_by] == [
        row for day, row in theirs.items() if day < everything_came_by
    ]
    assert len(ours) == len(theirs)
    assert all(row[1] <= theirs[row[0]][1] for row in ours)
