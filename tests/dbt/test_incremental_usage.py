"""Days that are kept from build to build: the same as if everything were built anew, whatever happened to the events."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.helpers import Warehouse, problems
from tests.dbt.raw_schema import insert_rows

pytestmark = pytest.mark.slow

NOW = {"as_of": "2026-03-20 12:00:00"}
KEPT = "intermediate.int_usage__feature_days"
WEEKS = "intermediate.int_usage__feature_weeks"
RESULTS = (KEPT, WEEKS, "mart_product.active_usage", "mart_product.feature_retention")
FIRST, SECOND = "1773000000.0", "1773000600.0"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Forty days of three users, built."""
    made = Warehouse(tmp_path_factory.mktemp("built"), ("raw_postgres.events",), dict(NOW))
    start = dt.datetime(2026, 2, 1, 22, 30, tzinfo=dt.UTC)
    load(made, [event(3 * day + user, start + dt.timedelta(day), user) for day in range(40) for user in (1, 2, 3)])
    assert problems(made.build()) == []
    return made


@pytest.fixture
def warehouse(built: Warehouse, tmp_path: Path) -> Warehouse:
    return built.copy(tmp_path)


def event(number: int, moment: dt.datetime, user: int, name: str = "report.viewed") -> dict[str, Any]:
    return {"id": number, "user_id": user, "workspace_id": f"w{user % 2}", "name": name, "created_at": moment}


def load(warehouse: Warehouse, events: list[dict[str, Any]], load_id: str = FIRST) -> None:
    insert_rows(warehouse.path, {"raw_postgres.events": events}, load_id)


def contents(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {table: warehouse.rows(f"select * from {table} order by all") for table in RESULTS}


def mark(warehouse: Warehouse) -> None:
    """Write into every kept row what no build would: it shows which days a build has left alone."""
    warehouse.execute(f"update {KEPT} set first_used_at = timestamp '1999-01-01'")


def days_built(warehouse: Warehouse) -> set[str]:
    rows = warehouse.rows(f"select distinct used_on from {KEPT} where first_used_at > timestamp '2000-01-01'")
    return {row[0].isoformat() for row in rows}


CHANGES: dict[str, tuple[str, set[str]]] = {
    "an event that comes a month late": (
        f"insert into raw_postgres.events (id, user_id, workspace_id, name, created_at, _dlt_load_id)"
        f" values (900, 9, 'w1', 'late.seen', '2026-02-03 10:00:00+00', '{SECOND}')",
        {"2026-02-03"},
    ),
    "a new day": (
        f"insert into raw_postgres.events (id, user_id, workspace_id, name, created_at, _dlt_load_id)"
        f" values (901, 1, 'w1', 'report.viewed', '2026-03-20 09:00:00+00', '{SECOND}')",
        {"2026-03-20"},
    ),
    "an event that turns out to be somebody else's": (
        f"update raw_postgres.events set user_id = 9, _dlt_load_id = '{SECOND}' where id = 31",
        {"2026-02-11"},
    ),
    "an event that moves to another day": (
        f"update raw_postgres.events set created_at = '2026-02-20 10:00:00+00', _dlt_load_id = '{SECOND}' where id = 34",
        {"2026-02-12", "2026-02-20"},
    ),
    "an event that is deleted": ("delete from raw_postgres.events where id = 37", {"2026-02-13"}),
    "a day whose events are all deleted": ("delete from raw_postgres.events where id in (40, 41, 42)", set()),
    "nothing at all": ("select 1", set()),
}


def test_only_the_days_of_what_changed_are_built_and_the_result_is_that_of_a_full_refresh(warehouse: Warehouse) -> None:
    before = contents(warehouse)
    for what, (change, days) in CHANGES.items():
        mark(warehouse)
        warehouse.execute(change)
        assert problems(warehouse.build("raw_postgres.events")) == [], what
        assert days_built(warehouse) == days, what
    # the mark out of the way: what was left alone is what it was
    warehouse.execute(
        f"update {KEPT} as kept set first_used_at = real.first_used_at from (select used_on, user_id, workspace_id,"
        f" feature, min(happened_at) as first_used_at from intermediate.int_usage__events group by all) as real"
        f" where (kept.used_on, kept.user_id, kept.workspace_id, kept.feature)"
        f" = (real.used_on, real.user_id, real.workspace_id, real.feature)"
    )
    ours = contents(warehouse)
    assert problems(warehouse.build(full_refresh=True)) == []
    assert ours == contents(warehouse) != before


def test_a_build_that_is_repeated_counts_nothing_twice(warehouse: Warehouse) -> None:
    first = contents(warehouse)
    for _ in range(2):
        assert problems(warehouse.build("raw_postgres.events")) == []
        assert contents(warehouse) == first


def test_what_a_broken_build_left_behind_is_mended_by_the_next(warehouse: Warehouse) -> None:
    whole = contents(warehouse)
    warehouse.execute(f"delete from {KEPT} where used_on between '2026-02-05' and '2026-02-09' and user_id = '1'")
    warehouse.execute(f"delete from {KEPT} where used_on = '2026-02-12'")
    assert problems(warehouse.build("raw_postgres.events")) == []
    assert contents(warehouse) == whole


@pytest.mark.parametrize(
    "switch",
    [{"company_timezone": "Asia/Tokyo"}, {"usage_ignores": ["report.viewed"]}],
    ids=["another time zone", "other things that count"],
)
def test_another_switch_begins_again(warehouse: Warehouse, switch: dict[str, Any]) -> None:
    load(warehouse, [event(700, dt.datetime(2026, 2, 3, 1, tzinfo=dt.UTC), 1, "export.made")])
    assert problems(warehouse.build("raw_postgres.events")) == []
    before = contents(warehouse)
    warehouse.vars = {**NOW, **switch}
    assert problems(warehouse.build("raw_postgres.events")) == []
    ours = contents(warehouse)
    assert ours != before
    assert problems(warehouse.build(full_refresh=True)) == []
    assert ours == contents(warehouse)


def test_another_system_that_tells_of_the_use_begins_again(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, ("raw_mixpanel.events", "raw_postgres.events"), dict(NOW))
    told = {"event": "report.viewed", "distinct_id": "1", "insert_id": "a", "time": "2026-03-02 10:00:00+00"}
    warehouse.insert(mixpanel__events=[told])
    load(warehouse, [event(1, dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC), 5)])
    alone = warehouse.build(raw_tables=frozenset({"raw_mixpanel.events"}))
    assert problems(alone) == []
    assert warehouse.rows(f"select user_id from {KEPT}") == [("1",)]
    assert problems(warehouse.build("raw_postgres.events")) == []
    assert warehouse.rows(f"select user_id from {KEPT}") == [("5",)]


def test_a_new_day_on_the_calendar_keeps_what_was_built(warehouse: Warehouse) -> None:
    mark(warehouse)
    warehouse.vars = {"as_of": "2026-03-21 12:00:00"}
    assert problems(warehouse.build("raw_postgres.events")) == []
    assert days_built(warehouse) == set()
    assert warehouse.rows("select max(day) from mart_product.active_usage") == [(dt.date(2026, 3, 21),)]


def test_days_pass_and_events_come_late_and_all_is_as_if_counted_anew(warehouse: Warehouse) -> None:
    """Also a day further back than any, one that is gone, one that is yet to come, and a clock that was set back."""
    before = "insert into raw_postgres.events (id, user_id, workspace_id, name, created_at, _dlt_load_id) values"
    history = [
        ("2026-03-21", f"{before} (950, 1, 'w1', 'late.seen', '2026-02-25 10:00:00+00', '{SECOND}')"),
        ("2026-04-01", f"{before} (951, 1, 'w1', 'late.seen', '2026-01-02 10:00:00+00', '{SECOND}')"),
        ("2026-04-02", "delete from raw_postgres.events where id = 951"),
        ("2026-04-02", f"{before} (952, 2, 'w0', 'ahead', '2026-04-04 10:00:00+00', '{SECOND}')"),
        (
            "2026-04-05",
            "update raw_postgres.events set user_id = 1, _dlt_load_id = '1773000700.0' where id in (10, 70)",
        ),
        ("2026-04-01", "select 1"),
        # whose first weeks are gone has begun later
        ("2026-04-06", "delete from raw_postgres.events where user_id = 1 and created_at < '2026-02-17'"),
        ("2026-04-06", f"{before} (953, 1, 'w1', 'report.viewed', '2026-02-09 10:00:00+00', '{SECOND}')"),
    ]
    for day, change in history:
        warehouse.vars = {"as_of": f"{day} 12:00:00"}
        warehouse.execute(change)
        assert problems(warehouse.build("raw_postgres.events")) == [], change
        ours = contents(warehouse)
        assert problems(warehouse.build(full_refresh=True)) == []
        assert ours == contents(warehouse), change


def test_windows_that_no_change_reaches_are_left_alone(warehouse: Warehouse) -> None:
    warehouse.execute("update mart_product.active_usage set mau = 99")
    warehouse.execute(CHANGES["an event that comes a month late"][0])
    assert problems(warehouse.build("raw_postgres.events")) == []
    untouched = "select min(day), max(day), count(*) from mart_product.active_usage where mau = 99"
    # the day of the event and the 29 after it, and today
    assert warehouse.rows(untouched) == [(dt.date(2026, 2, 1), dt.date(2026, 3, 19), 17)]
