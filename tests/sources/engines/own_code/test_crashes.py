"""`kill -9` of the worker anywhere: nothing it started is left, and the next run has every row once, appended ones too."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import duckdb
import pytest

from tests.sources.engines.own_code.crash import POINTS
from tests.sources.engines.own_code.test_mistakes import is_alive

pytestmark = pytest.mark.slow


def tables(tmp_path: Path) -> list[int]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        counts = [
            f"select count(*), count(distinct _dlt_id) from raw_shop.{name}"
            for name in ("orders", "orders__lines", "visits", "visits__pages")
        ]
        found = [connection.execute(sql).fetchone() for sql in counts]
        assert all(rows == different for rows, different in found)
        assert connection.execute("select count(distinct id) from raw_shop.orders").fetchone()[0] == found[0][0]
        assert connection.execute('select count(distinct "at") from raw_shop.visits').fetchone()[0] == found[2][0]
    return [rows for rows, _ in found]


@pytest.mark.parametrize("point", POINTS)
def test_a_sync_that_was_killed_heals(run, tmp_path, point):
    assert run(4) == 0
    assert run(6, point) == -signal.SIGKILL
    if point == "reading":
        child = int((tmp_path / "child.pid").read_text())
        deadline = time.monotonic() + 20
        while is_alive(child):
            assert time.monotonic() < deadline, "the code outlived its worker"
            time.sleep(0.05)

    assert run(8) == 0

    assert tables(tmp_path) == [8, 16, 8, 8]


@pytest.mark.parametrize("point", ["job 1", "job 2", "before complete"])
def test_a_first_sync_that_was_killed_heals(run, tmp_path, point):
    assert run(4, point) == -signal.SIGKILL

    assert run(5) == 0

    assert tables(tmp_path) == [5, 10, 5, 5]
