"""Reading a published version: what is not there, and that nothing is asked twice."""

from __future__ import annotations

import pytest

from metrics.dashboards.published import Published
from portal.failures import TerminalError
from portal.warehouse.duckdb import DuckDBWarehouse
from tests.metrics.dashboards.published import LAST, MONTHS, publish

pytestmark = pytest.mark.slow

MONTHLY = "mart_finance.mrr_monthly"


def test_rows_come_in_the_order_that_is_asked_for():
    publish("a.duckdb")
    rows = Published("a.duckdb").rows(MONTHLY, order="month")
    assert len(rows) == MONTHS
    assert rows[-1]["month"] == LAST


def test_a_mart_that_is_not_there_has_no_rows():
    publish("a.duckdb", without=[MONTHLY])
    found = Published("a.duckdb")
    assert not found.has(MONTHLY)
    assert found.rows(MONTHLY, order="month") == []


def test_a_version_that_is_gone_is_an_error_and_is_asked_for_again():
    with pytest.raises(TerminalError, match="cannot be found"):
        Published("a.duckdb").has(MONTHLY)
    publish("a.duckdb")
    assert Published("a.duckdb").has(MONTHLY)


def test_the_same_question_is_asked_once_a_version(monkeypatch):
    asked = []
    real = DuckDBWarehouse.query
    monkeypatch.setattr(
        DuckDBWarehouse, "query", lambda self, *args, **more: asked.append(args) or real(self, *args, **more)
    )
    publish("a.duckdb")
    publish("b.duckdb", seed=8)
    first = Published("a.duckdb").rows(MONTHLY, order="month")
    count = len(asked)
    assert Published("a.duckdb").rows(MONTHLY, order="month") == first
    assert len(asked) == count
    assert Published("b.duckdb").rows(MONTHLY, order="month") != first
    assert len(asked) == 2 * count
