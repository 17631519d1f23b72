"""A spreadsheet through the engine into a real warehouse, while people change it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.finance import Cell, Sheet
from sources.connectors import get_connector, sheets_api
from sources.connectors.base import Again, StreamRequest, SyncMode
from sources.engines.base import SyncOutcome, SyncRequest, TerminalSyncError, TransientSyncError
from sources.engines.dlt_engine import DltEngine

pytestmark = pytest.mark.slow


@pytest.fixture
def pull(sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SyncOutcome]:
    monkeypatch.setattr(sheets_api, "_paces", {})
    settings = sandbox.endpoints()["google_sheets"]

    def run(*names: str, **options: Any) -> SyncOutcome:
        streams = tuple(StreamRequest(name, SyncMode.FULL_REFRESH, primary_key=("_row",), **options) for name in names)
        request = SyncRequest("sheet", "google_sheets", settings, streams, "raw_sheet", tmp_path / "work")
        return DltEngine().sync(request, lambda stream, rows: None)

    return run


@pytest.fixture
def show(sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[list[Any]]], None]:
    """Put these cells into the sheet “Plan”; days are given as dates."""

    def cell(value: Any) -> Cell | None:
        if isinstance(value, dt.date):
            return Cell((value - dt.date(1899, 12, 30)).days, f"{value:%d %b}", is_date=True)
        return None if value is None else Cell(value, str(value))

    def put(rows: list[list[Any]]) -> None:
        sheet = Sheet(0, "Plan", [[cell(value) for value in row] for row in rows])
        monkeypatch.setattr(sandbox.company.finance, "sheets", lambda: [sheet])

    return put


def types_of(query: Any) -> dict[str, str]:
    return dict(
        query(
            "select column_name, data_type from duckdb_columns() where schema_name = 'raw_sheet' and table_name = 'plan'"
            " and column_name not like '_dlt%'"
        )
    )


def notes_of(outcome: SyncOutcome) -> str:
    return " ".join(outcome.streams[0].cursor["notes"])


MARCH, APRIL, MAY = dt.date(2026, 3, 1), dt.date(2026, 4, 1), dt.date(2026, 5, 1)


def test_the_companys_spreadsheet_arrives_whole(sandbox, pull, query):
    names = [spec.name for spec in get_connector("google_sheets").discover(sandbox.endpoints()["google_sheets"])]
    outcome = pull(*names)
    months = sandbox.company.finance.months
    assert outcome.rows == {"plan": len(months), "people": 6, "budget_rates": 3}
    assert query("select count(*), sum(plan_mrr)::bigint, min(month)::text from raw_sheet.plan") == [
        (len(months), sum(month.plan_mrr for month in months.values()), "2024-03-01")
    ]
    assert not pull(*names).has_new_data


def test_a_moved_column_is_not_even_a_change(pull, show, query):
    show([["month", "amount", "note"], [MARCH, 10, "a"], [APRIL, "€ 1.200,50", "b"]])
    assert pull("plan").has_new_data
    before = types_of(query)
    assert before == {"_row": "BIGINT", "month": "DATE", "amount": "DOUBLE", "note": "VARCHAR", "_extra": "JSON"}
    show([["note", "month", "amount"], ["a", MARCH, 10], ["b", APRIL, "€ 1.200,50"]])
    assert not pull("plan").has_new_data
    assert types_of(query) == before
    assert query("select month::text, amount, note from raw_sheet.plan order by _row") == [
        ("2026-03-01", 10.0, "a"),
        ("2026-04-01", 1200.5, "b"),
    ]


def test_a_new_column_joins_and_a_renamed_one_stays_empty(pull, show, query):
    show([["month", "amount"], [MARCH, 10], [APRIL, 20]])
    pull("plan")
    show([["owner", "month", "target"], ["mk", MARCH, 11], ["js", APRIL, 21]])
    outcome = pull("plan")
    assert "“amount” is no longer in the sheet" in notes_of(outcome)
    assert "“target” is new" in notes_of(outcome)
    assert query("select month::text, amount, target, owner from raw_sheet.plan order by _row") == [
        ("2026-03-01", None, 11.0, "mk"),
        ("2026-04-01", None, 21.0, "js"),
    ]
    show([["month", "amount"], [MARCH, 12], [APRIL, 22]])
    pull("plan")
    assert query("select amount, target from raw_sheet.plan order by _row") == [(12.0, None), (22.0, None)]


def test_a_value_of_another_type_keeps_its_row_and_the_columns_type(pull, show, query):
    show([["month", "amount"], [MARCH, 10], [APRIL, 20]])
    pull("plan")
    show([["month", "amount"], [MARCH, "to be done"], ["soon", 20], [MAY, "#REF!"]])
    outcome = pull("plan")
    assert outcome.rows == {"plan": 3}
    assert types_of(query)["amount"] == "DOUBLE"
    assert query(
        "select month::text, amount, _extra->>'amount', _extra->>'month' from raw_sheet.plan order by _row"
    ) == [
        ("2026-03-01", None, "to be done", None),
        (None, 20.0, None, "soon"),
        ("2026-05-01", None, "#REF!", None),
    ]
    assert "row 2: to be done" in notes_of(outcome)
    assert "row 4: #REF!" in notes_of(outcome)


def test_a_sheet_that_lost_its_rows_asks_a_person(pull, show, query):
    show([["month", "amount"], [MARCH, 10], [APRIL, 20]])
    pull("plan")
    show([["month", "amount"]])
    with pytest.raises(TerminalSyncError, match="It brought 0 rows, and the table has 2"):
        pull("plan")
    assert query("select count(*) from raw_sheet.plan") == [(2,)]
    pull("plan", accept_fewer=True)
    assert query("select count(*) from raw_sheet.plan") == [(0,)]


@pytest.mark.parametrize("kind", ["429", "reset", "truncate", "expired_token"])
def test_a_bad_moment_changes_nothing_in_what_arrives(sandbox, pull, show, query, pauses, kind):
    show([["month", "amount"], [MARCH, 10], [APRIL, 20]])
    sandbox.google_sheets.faults.add(kind, after=1, path="/v4/")
    assert pull("plan").rows == {"plan": 2}
    assert query("select amount from raw_sheet.plan order by _row") == [(10.0,), (20.0,)]


def test_a_bad_hour_leaves_the_table_as_it_was(sandbox, pull, show, query, pauses):
    show([["month", "amount"], [MARCH, 10], [APRIL, 20]])
    pull("plan")
    show([["month", "amount"], [MARCH, 11], [APRIL, 21]])
    sandbox.google_sheets.faults.add("429", count=None, path="/v4/")
    with pytest.raises(TransientSyncError, match="rate limit"):
        pull("plan")
    assert query("select amount from raw_sheet.plan order by _row") == [(10.0,), (20.0,)]


def test_a_reset_lets_types_and_names_be_decided_anew(pull, show, query):
    show([["month", "amount"], [MARCH, 10], [APRIL, 20]])
    pull("plan")
    show([["month", "amount"], [MARCH, "low"], [APRIL, "high"]])
    pull("plan")
    assert query("select amount from raw_sheet.plan order by _row") == [(None,), (None,)]
    outcome = pull("plan", again=Again("reset-1"))
    assert query("select amount from raw_sheet.plan order by _row") == [("low",), ("high",)]
    assert outcome.streams[0].cursor["notes"] == []
