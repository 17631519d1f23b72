"""The truth about the use of the product: drivers keep customers and decoys do not, and every count can be recounted."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import pytest

from sandbox import truth, truth_usage
from sandbox.company import Company
from sandbox.features import BY_NAME, DRIVERS, FEATURES, UNDRIVEN, leaving
from sandbox.timeline import DAY, day_of
from tests.sandbox.conftest import MONDAY

pytestmark = pytest.mark.slow  # a company is simulated for it


def uses(company: Company) -> list[tuple[int, int, str, str]]:
    log, users = company.product.uses, company.product.users
    return [
        (moment, user, users[user].workspace.id, FEATURES[place].name)
        for moment, user, place in zip(log.moments, log.users, log.features, strict=True)
    ]


def test_a_workspace_uses_only_what_it_has_adopted_and_adopts_by_using(company):
    first: dict[tuple[str, str], int] = {}
    for moment, _, workspace, feature in uses(company):
        first.setdefault((workspace, feature), moment)
    adopted = {(each.workspace_id, each.feature): each.adopted_at for each in truth_usage.adoptions(company)}
    assert first == adopted
    assert len(adopted) > 3000


def test_every_feature_is_adopted_by_some_workspaces_and_left_by_others(company):
    by_feature = defaultdict(set)
    for each in truth_usage.adoptions(company):
        by_feature[each.feature].add(each.workspace_id)
    assert by_feature.keys() == BY_NAME.keys()
    count = len(company.product.workspaces)
    assert all(0.02 * count < len(found) < count for found in by_feature.values())


def test_only_the_drivers_lower_the_chance_to_leave():
    assert leaving({}) == UNDRIVEN
    for name in BY_NAME:
        assert (leaving({name: 0}) < UNDRIVEN / 2) == (name in DRIVERS)
    assert leaving(dict.fromkeys(BY_NAME, 0)) < 0.2 < leaving({name: 0 for name in BY_NAME if name not in DRIVERS})


def test_drivers_keep_customers_by_a_clear_margin_at_the_scale_of_the_demo(company):
    found = {each.feature: each for each in truth_usage.retention(company)}
    assert {name for name, each in found.items() if each.is_driver} == set(DRIVERS)
    for name in DRIVERS:
        each = found[name]
        assert each.left_with / each.days_with < 0.6 * each.left_without / each.days_without, name
        assert each.stays_with - each.stays_without > 0.02, name


@pytest.mark.slow
def test_drivers_stand_out_and_decoys_are_noise_when_there_are_many_customers():
    company = Company(seed=3, opened_at=MONDAY, scale=6)
    company.run(MONDAY)
    for each in truth_usage.retention(company):
        if min(each.left_with, each.left_without) < 25:
            continue  # nearly everybody has it: there is nobody to compare with
        ratio = (each.left_with / each.days_with) / (each.left_without / each.days_without)
        noise = (1 / each.left_with + 1 / each.left_without) ** 0.5
        if each.is_driver:
            assert ratio < 0.5, each
        else:
            assert abs(ratio - 1) < 4 * noise, each


def test_leaving_is_counted_as_often_as_the_books_say(company):
    churned = sum(event.event_type == "churn" for event in truth.movements(company))
    for each in truth_usage.retention(company):
        # a customer who leaves and is back on the same day leaves no trace in the movements of days
        assert churned <= each.left_with + each.left_without <= churned * 1.1 + 5


def test_active_users_are_distinct_users_of_a_day_a_week_and_thirty_days(company):
    found = {each.date: each for each in truth_usage.active_days(company)}
    days = defaultdict(set)
    for moment, user, workspace, _ in uses(company):
        days[day_of(moment)].add((user, workspace))
    today = day_of(company.now)
    assert max(found) == today
    for date in (today, today - dt.timedelta(1), today - dt.timedelta(200)):
        row = found[date]
        for length, users, workspaces in (
            (1, row.dau, row.daily_workspaces),
            (7, row.wau, row.weekly_workspaces),
            (30, row.mau, row.monthly_workspaces),
        ):
            seen = set().union(*(days[date - dt.timedelta(back)] for back in range(length)))
            assert users == len({user for user, _ in seen})
            assert workspaces == len({workspace for _, workspace in seen})


def test_weeks_begin_on_monday_and_add_up_to_all_uses(company):
    weeks = truth_usage.feature_weeks(company)
    assert {each.week.weekday() for each in weeks} == {0}
    assert sum(each.uses for each in weeks) == len(company.product.uses)
    assert all(each.workspaces <= each.users <= each.uses for each in weeks)


def test_recent_days_are_busier_and_weekends_quieter(company):
    counts = defaultdict(int)
    for moment in company.product.uses.moments:
        counts[moment // DAY] += 1
    last = company.now // DAY
    days = [counts[day] for day in range(last - 21, last)]
    working = [count for day, count in zip(range(last - 21, last), days, strict=True) if (day + 3) % 7 < 5]
    weekend = [count for day, count in zip(range(last - 21, last), days, strict=True) if (day + 3) % 7 >= 5]
    assert min(working) > max(weekend)
    assert sum(working) / len(working) > 3 * counts[last - 100 - (last - 100 + 3) % 7 + 1]


def test_the_database_gets_every_use_once_also_when_a_write_fails():
    company = Company(seed=2, opened_at=MONDAY, scale=0.1)
    company.run(MONDAY - 5 * DAY)
    first = company.product.take()
    written = list(first.events)
    company.run(MONDAY - 4 * DAY)
    lost = company.product.take()
    company.run(MONDAY)
    company.product.give_back(lost)
    written += company.product.take().events
    log = company.product.uses
    assert [row[0] for row in written] == list(range(1, len(log) + 1))
    assert [row[1] for row in written] == list(log.users)
    assert [row[5].timestamp() for row in written] == list(log.moments)
    assert written == list(first.events) + written[len(first.events) :]
    assert any("Größe" in row[4] for row in written)


def test_late_deliveries_come_after_the_use_and_some_twice(company):
    log = company.product.uses
    deliveries = [log.deliveries(index) for index in range(len(log))]
    assert all(made < first for made, (first, *_) in zip(log.moments, deliveries, strict=True))
    late = [first - made for made, (first, *_) in zip(log.moments, deliveries, strict=True) if first - made > 3600]
    assert 0.02 < len(late) / len(log) < 0.04
    assert 3 * DAY < max(late) < 4 * DAY
    assert 0 < sum(len(each) == 2 for each in deliveries) < 0.01 * len(log)
