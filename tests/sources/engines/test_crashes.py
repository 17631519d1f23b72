"""`kill -9` anywhere in a sync: the next one ends with the right rows, once each."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from tests.sources.engines.crash import POINTS
from tests.sources.engines.orders import Orders, orders_to

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    with orders_to("tests.sources.engines.crash", tmp_path_factory.mktemp("data")) as give:
        yield give


@pytest.fixture
def run(worker: Orders, tmp_path: Path) -> Callable[..., int]:
    def order(round_number: int, point: str = "none", since: str = "") -> int:
        return worker({"folder": str(tmp_path), "round": round_number, "point": point, "since": since})

    return order


def table(tmp_path: Path, name: str) -> list[tuple[str, str]]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(f"select amount, name from raw_fake.{name} order by amount, name").fetchall()


@pytest.mark.parametrize("point", POINTS)
def test_a_sync_that_was_killed_heals(run, tmp_path, point):
    assert run(1) == 0
    assert run(2, point) == -signal.SIGKILL

    assert run(3) == 0

    # The killed round's rows count only where they were committed; the next round brings everything again.
    from_round_3 = 150 if point == "after complete" else 50
    names = dict(table(tmp_path, "a"))
    assert len(table(tmp_path, "a")) == len(names) == 300
    assert all(names[number] == "round 3" for number in range(from_round_3, 300))
    assert all(names[number] == "round 1" for number in range(50))
    assert table(tmp_path, "b") == [(number, "round 3") for number in range(300)]


@pytest.mark.parametrize("point", ["reading", "normalized", "file waiting", "after merge", "before complete"])
def test_a_first_sync_that_was_killed_heals(run, tmp_path, point):
    assert run(1, point) == -signal.SIGKILL

    assert run(2) == 0

    assert [number for number, _ in table(tmp_path, "a")] == list(range(200))
    assert {name for _, name in table(tmp_path, "a")} == {"round 2"}
    assert table(tmp_path, "b") == [(number, "round 2") for number in range(200)]


@pytest.mark.parametrize("point", ["reading", "normalized", "file copied", "before merge", "before complete"])
def test_a_backfill_that_was_killed_is_carried_out_by_the_next_sync(run, tmp_path, point):
    assert run(1) == 0
    assert run(2, point, "2026-03-01") == -signal.SIGKILL

    assert run(3, since="2026-03-01") == 0
    assert run(4, since="2026-03-01") == 0  # nobody could say that it is done: it is not done twice

    names = dict(table(tmp_path, "a"))
    assert len(table(tmp_path, "a")) == len(names) == 400
    assert {names[number] for number in range(250)} == {"round 3"}
    assert {names[number] for number in range(250, 400)} == {"round 4"}
