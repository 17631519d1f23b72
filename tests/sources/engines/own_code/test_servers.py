"""A company's own code in PostgreSQL and BigQuery: its own dispositions, the same refusals, and no row twice."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from sources.engines.base import TerminalSyncError
from sources.engines.own_code import process
from tests.sources.engines.own_code.crash import UNCOMPRESSED
from tests.sources.engines.own_code.test_engine import COUNTS, SHOP
from tests.warehouses.places import PLACES, Place

pytestmark = pytest.mark.slow


@pytest.fixture(params=["postgresql", "bigquery"])
def place(request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(process, "_QUIET", process._QUIET | UNCOMPRESSED)
    return PLACES[request.param](settings, request)


def test_the_code_decides_how_rows_are_written_and_goes_on_where_it_was(
    drop: Any, sync: Any, place: Place, tmp_path: Path
) -> None:
    drop("shop", SHOP)
    streams = ("orders", "visits", "prices", "tags")

    first = sync("shop", *streams, size=3)
    second = sync("shop", *streams, size=5)

    assert first.rows == {"orders": 9, "visits": 6, "prices": 3, "tags": 3}
    assert second.rows == {"orders": 6, "visits": 4, "prices": 5, "tags": 5}
    assert place.run(COUNTS) == [(5, 10, 5, 5, 5, 5)]
    with pytest.raises(TerminalSyncError) as failure:
        sync("shop", "visits", "prices", size=0)
    assert failure.value.kind == "shrunk"
    # What is committed is known to the warehouse alone, and a table that somebody dropped is read from the beginning.
    shutil.rmtree(tmp_path / "work")
    place.run("drop table raw_shop.visits")
    sync("shop", "orders", "visits", size=6)
    assert place.run(COUNTS)[0][:3] == (6, 12, 6)


def test_edited_code_brings_columns_of_other_types(drop: Any, sync: Any, place: Place) -> None:
    drop("shop", "@dlt.resource\ndef rows(): yield {'value': 1, 'at': '2026-01-02T03:04:05Z', 'more': None}")
    sync("shop", "rows")
    drop("shop", "@dlt.resource\ndef rows(): yield {'value': 'x', 'price': 1.5}")

    outcome = sync("shop", "rows")

    assert [change.words for change in outcome.streams[0].changes] == [
        "column “value__v_text” was added",
        "column “price” was added",
    ]
    found = place.run("select value, value__v_text, price from raw_shop.rows order by value nulls last")
    assert found == [(1, None, None), (None, "x", 1.5)]


@pytest.mark.parametrize(
    ("place", "points"),
    [("postgresql", ("job 2", "job 5", "before complete", "after complete")), ("bigquery", ("before complete",))],
    indirect=["place"],
)
def test_a_sync_that_was_killed_doubles_nothing(run: Any, place: Place, points: tuple[str, ...], settings: Any) -> None:
    url = settings.WAREHOUSE_URL
    assert run(2, url=url) == 0
    size = 2
    for point in points:
        size += 2
        assert run(size, point, url=url) == -signal.SIGKILL, point
    size += 1

    assert run(size, url=url) == 0

    tables = {"orders": size, "orders__lines": 2 * size, "visits": size, "visits__pages": size}
    for table, rows in tables.items():
        assert place.run(f"select count(*), count(distinct _dlt_id) from raw_shop.{table}") == [(rows, rows)], table
    assert place.run("select count(distinct id) from raw_shop.orders") == [(size,)]
    assert place.run("select count(distinct v.at) from raw_shop.visits as v") == [(size,)]
