"""Soda on a real DuckDB file: every request gets a report, and nothing that went wrong is green."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from portal.warehouse import get_warehouse
from quality.soda_adapter import CheckReport, CheckRequest, connected, scan_dataset
from quality.soda_runtime import Point

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SUBSCRIPTIONS = "raw_stripe.subscriptions"


@pytest.fixture
def tables(warehouse_sql):
    warehouse_sql(
        "create schema raw_stripe",
        "create schema mart_x",
        "create table raw_stripe.subscriptions (id varchar, customer_id varchar, status varchar, created timestamptz,"
        ' naive timestamp, day date, "Order" integer, m integer, ratio double)',
        "insert into raw_stripe.subscriptions select 'sub_' || i, case when i = 3 then null else 'cus_1' end, 'active',"
        " timestamptz '2026-11-20 10:48:00+00', timestamp '2026-11-20 10:48:00', date '2026-11-20', i, i, 'nan'"
        " from range(10) t(i)",
        "create table mart_x.customers as select 'cus_1' as id",
        "create table raw_stripe.empty (id varchar, created timestamptz, amount double)",
        'create table raw_stripe."order" (id varchar)',
        "insert into raw_stripe.\"order\" values ('a')",
    )


def run(*definitions: str, dataset: str = SUBSCRIPTIONS, now: datetime = NOW, history=()) -> list[CheckReport]:
    requests = [CheckRequest(str(n), definition, tuple(history)) for n, definition in enumerate(definitions)]
    with get_warehouse().writer(), connected(get_warehouse()) as connection:
        return scan_dataset(connection, dataset, requests, now)


def one(definition: str, **kwargs) -> CheckReport:
    return run(definition, **kwargs)[0]


@pytest.mark.parametrize(
    ("definition", "outcome", "value", "sentence"),
    [
        ("row_count > 0", "pass", 10, "The table has 10 rows; it must be more than 0."),
        ("missing_count(customer_id) = 0", "fail", 1, "1 row has no customer_id; none are allowed."),
        ("missing_count(CUSTOMER_ID) = 0", "fail", 1, "1 row has no CUSTOMER_ID; none are allowed."),
        ("missing_count(m) = 0", "pass", 0, "Every row has a m."),
        ("max(order) < 9", "fail", 9, "The maximum of order is 9; it must be less than 9."),
        ("duplicate_count(status) = 0", "fail", 1, "1 value of status occurs more than once; none are allowed."),
        ("row_count:\n  warn: when > 5\n  fail: when > 50", "warn", 10, "The table has 10 rows; it should not be more than 5."),
        ("failed rows:\n  fail condition: m > 7", "fail", 2, "2 rows match “m > 7”; none are allowed."),
        ("failed rows:\n  fail query: select * from raw_stripe.subscriptions where m > 7", "fail", 2, "2 rows found; none are allowed."),
        ("values in (customer_id) must exist in mart_x.customers (id)", "pass", 0, "No row has a customer_id that does not exist in mart_x.customers."),
        ("row_count same as mart_x.customers", "fail", 9, "It has 9 rows more than mart_x.customers."),
        ("schema:\n  fail:\n    when required column missing: [id, plan]", "fail", None, "Missing: plan."),
        ("avg_m > 100:\n  avg_m expression: avg(m)", "fail", 4.5, "Avg_m is 4.5; it must be more than 100."),
    ],
)  # fmt: skip
def test_outcomes_of_every_kind(tables, definition, outcome, value, sentence):
    report = one(definition)
    assert (report.outcome, report.value, report.sentence) == (outcome, value, sentence)
    assert definition.splitlines()[0] in report.detail
    assert "select" in report.detail.lower()


def test_broken_checks_do_not_take_the_others_with_them(tables):
    reports = run(
        "row_count > 0",
        "missing_count(custmer_id) = 0",
        "failed rows:\n  fail condition: nonsense > 3",
        "avg(status) > 3",
        "duplicate_count(nope) = 0",
        "failed rows:\n  fail query: select * from nowhere",
        "this is no check",
        "values in (customer_id) must exist in nowhere (id)",
        "missing_count(status) = 0",
        "avg(ratio) between 1 and 3",
        "max(id) > 3",
    )
    assert [report.outcome for report in reports] == [
        "pass", "error", "error", "error", "error", "error", "error", "error", "pass", "error", "error",
    ]  # fmt: skip
    assert reports[1].sentence == (
        "The table raw_stripe.subscriptions has no column custmer_id, so this could not be checked. "
        "Did you mean customer_id?"
    )
    assert reports[2].sentence == (
        'This could not be checked: Binder Error: Referenced column "nonsense" not found in FROM clause.'
    )
    assert "not a number" in reports[9].sentence  # NaN compares false both ways: Soda alone would let it pass


def test_a_missing_table_is_an_error_for_each_check(tables):
    reports = run("row_count > 0", "schema:\n  fail:\n    when required column missing: [id]", dataset="mart_x.gone")
    assert [report.outcome for report in reports] == ["error", "error"]
    assert reports[0].sentence == "The table mart_x.gone does not exist, so this could not be checked."


def test_an_empty_table_is_not_green(tables):
    row_count, average, fresh = run(
        "row_count > 0", "avg(amount) between 1 and 3", "freshness(created) < 3h", dataset="raw_stripe.empty"
    )
    assert (row_count.outcome, average.outcome, fresh.outcome) == ("fail", "error", "fail")
    assert "has no value" in average.sentence
    assert fresh.sentence == "No row has a created, so nothing is fresh."


def test_a_table_named_like_a_keyword_can_be_checked(tables):
    assert one("row_count > 0", dataset="raw_stripe.order").outcome == "pass"


@pytest.mark.parametrize("column", ["created", "naive"])
def test_freshness_is_told_in_utc_whatever_the_zone_of_the_machine(tables, column, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    report = one(f"freshness({column}) < 1h")
    assert (report.outcome, report.value) == ("fail", 4320)
    assert report.sentence == f"The newest {column} is 1 h 12 min old; it must be less than 1 h."


def test_a_time_in_the_future_says_nothing_about_freshness(tables):
    report = one("freshness(created) < 3h", now=NOW - timedelta(hours=5))
    assert report.outcome == "error"
    assert report.sentence == (
        "The newest created lies 3 h 48 min in the future, so it cannot say how fresh the data is. "
        "Is it in another time zone than UTC?"
    )
    a_little_ahead = one("freshness(created) < 3h", now=NOW - timedelta(minutes=80))
    assert (a_little_ahead.outcome, a_little_ahead.value) == ("pass", 0)


def test_freshness_over_the_end_of_summer_time(warehouse_sql):
    # Clocks in Berlin went back at 01:00 UTC on 25 October 2026: 02:30 came twice, an hour apart.
    warehouse_sql(
        "create schema raw_x",
        "create table raw_x.t as select timestamptz '2026-10-25 02:30:00+02' as created",
    )
    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # the second 02:30
    assert one("freshness(created) < 2h", dataset="raw_x.t", now=now).value == 3600


def test_a_check_cannot_write_or_read_other_files(tables, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("token\nabc\n")
    dropping, reading, writing = run(
        "failed rows:\n  fail query: drop table raw_stripe.subscriptions",
        f"failed rows:\n  fail query: select * from read_csv('{secret}')",
        f"failed rows:\n  fail query: copy (select 1) to '{tmp_path}/out.csv'",
    )
    assert [report.outcome for report in (dropping, reading, writing)] == ["error"] * 3
    assert not (tmp_path / "out.csv").exists()
    assert one("row_count > 0").outcome == "pass"


def test_failed_rows_are_counted_and_not_copied(tables):
    report = one("failed rows:\n  fail condition: id = 'sub_7'")
    assert "Failed rows: 1 (counted, not copied)." in report.detail
    assert "cus_1" not in report.detail


def test_soda_does_not_run_nothing_because_of_an_attribute(tables):
    reports = run("row_count > 0:\n  attributes: {team: finance}", "missing_count(status) = 0")
    assert [report.outcome for report in reports] == ["pass", "pass"]


# --- history --------------------------------------------------------------------------------------------------------
ROWS = 'metric-portal-raw_stripe-"subscriptions"-row_count'


def days(*values: float, metric: str = ROWS) -> list[Point]:
    """One value a day, the last of them yesterday."""
    return [Point(metric, value, NOW - timedelta(days=len(values) - n)) for n, value in enumerate(values)]


def test_the_identity_of_a_metric_stays_what_history_is_stored_under(tables):
    assert one("anomaly detection for row_count").metric == ROWS


def test_an_anomaly_check_learns_before_it_judges(tables):
    report = one("anomaly detection for row_count", history=days(10, 10, 10))
    assert (report.outcome, report.value, report.measured) == ("learning", 10, 10)
    assert report.sentence.startswith("Learning (4 of 5 measurements)")


def test_many_measurements_of_one_day_teach_no_more_than_one(tables):
    morning = [Point(ROWS, 10, NOW - timedelta(minutes=n)) for n in range(1, 200)]
    assert one("anomaly detection for row_count", history=morning).sentence.startswith("Learning (1 of 5")


def test_a_gap_in_the_history_is_learned_anew(tables):
    long_ago = [Point(ROWS, 10, NOW - timedelta(days=60 + n)) for n in range(5)]
    report = one("anomaly detection for row_count", history=long_ago)
    assert report.outcome == "learning"
    assert report.sentence.startswith("Learning (1 of 5")


def test_prophet_calls_the_usual_usual_and_the_unusual_unusual(tables):
    usual = one("anomaly detection for row_count", history=days(*[9, 10, 11] * 7))
    assert usual.outcome == "pass"
    assert usual.extra["low"] <= 10 <= usual.extra["high"]
    unusual = one("anomaly detection for row_count", history=days(*[900, 1000, 1100] * 7))
    assert unusual.outcome == "fail"
    assert unusual.sentence.startswith("The number of rows is 10; between ")
    assert unusual.sentence.endswith("was expected from its history.")


@pytest.mark.parametrize(
    ("definition", "history", "outcome", "value"),
    [
        ("change for row_count < 5", days(8), "pass", 2),
        ("change for row_count < 5", days(100, 2), "fail", 8),
        ("change for row_count < 5", [], "learning", None),
        ("change percent for row_count < 5", days(8), "fail", 25),
        ("change avg last 3 for row_count < 5", days(1, 8, 9, 10), "pass", 1),
        ("change max last 3 for row_count < 5", days(1, 8, 9, 10), "pass", 0),
        ("change avg last 3 for row_count < 5", days(8, 9), "learning", None),
        ("change same day last week for row_count < 5", days(2, 9, 9, 9, 9, 9, 9), "fail", 8),
        ("change same day last week for row_count < 5", days(9, 9), "learning", None),
        ("change for row_count < 5", days(3, metric="another metric"), "learning", None),
    ],
)
def test_changes_are_compared_with_local_history(tables, definition, history, outcome, value):
    report = one(definition, history=history)
    assert (report.outcome, report.value if outcome != "learning" else None) == (outcome, value)


def test_two_checks_on_one_metric_share_one_history(tables):
    points = days(8, 9)
    first, second = run("change for row_count < 5", "change avg last 2 for row_count < 5", history=points)
    assert (first.value, second.value) == (1, 1.5)


# --- what it costs --------------------------------------------------------------------------------------------------
def test_soda_phones_nobody_writes_nothing_at_home_and_loads_prophet_only_when_asked(tables, tmp_path):
    """In a process of its own, as a worker would."""
    home = tmp_path / "home"
    home.mkdir()
    script = (
        "import sys, duckdb, datetime, socket\n"
        "def refuse(*args): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from quality.soda_adapter import CheckRequest, scan_dataset\n"
        "from quality.soda_connections import DuckDBChecks\n"
        "assert 'soda' not in sys.modules\n"
        "con = duckdb.connect()\n"
        "con.execute('create schema s; create table s.t as select 1 as a')\n"
        "now = datetime.datetime.now(datetime.timezone.utc)\n"
        "asked = [CheckRequest('1', 'row_count > 0'), CheckRequest('2', 'anomaly detection for row_count')]\n"
        "print([r.outcome for r in scan_dataset(DuckDBChecks(con), 's.t', asked, now)], 'prophet' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.strip() == "['pass', 'learning'] False", done.stderr
    assert done.stderr == ""
    assert list(home.iterdir()) == []
