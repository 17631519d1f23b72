"""A followed log that ends in PostgreSQL or BigQuery: completed against what is there, as on DuckDB."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.sources.cdc.test_following import SLOT, slot
from tests.sources.cdc.test_workload import BIG, KEYS, TABLES, Workload
from tests.warehouses.places import PLACES, Place

pytestmark = pytest.mark.slow
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["postgresql", "bigquery"])
def ask(request: pytest.FixtureRequest, settings: Any) -> Ask:
    place: Place = PLACES[request.param](settings, request)
    return place.run


def plain(value: Any) -> Any:
    match value:
        case Decimal():
            return value.normalize()
        case datetime():
            return value.astimezone(UTC)
        case _:
            return value


def assert_same(shop: Any, ask: Ask, *, soft: bool) -> None:
    """What is alive in the warehouse is what a SELECT of the source shows."""
    for table in KEYS:
        columns = shop.execute(
            "select attname, atttypid = 'jsonb'::regtype from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 and not attisdropped order by 1",
            [table],
        ).fetchall()
        there = ", ".join(f"{name}::text" if is_json else name for name, is_json in columns)
        here = ", ".join(name for name, _ in columns)
        expected, found = (
            sorted(([plain(value) for value in row] for row in rows), key=repr)
            for rows in (
                shop.execute(f"select {there} from {table}").fetchall(),
                ask(f"select {here} from raw_shop.{table}{' where _deleted_at is null' if soft else ''}"),
            )
        )
        if found != expected:
            missing, extra = (
                [[str(v)[:12] for v in r] for r in a if r not in b][:5]
                for a, b in ((expected, found), (found, expected))
            )
            pytest.fail(f"{table} {here}: {len(expected)} rows at the source, {len(found)} here\n{missing=}\n{extra=}")


def test_deletions_unsent_values_and_an_emptied_table_arrive(shop: Any, pull: Any, ask: Ask) -> None:
    shop.execute("create table notes (id bigint primary key, title text, essay text)")
    shop.execute("alter table notes alter essay set storage external")
    essay = "x" * BIG
    shop.execute("insert into notes select n, 'first', %s from generate_series(1, 4) n", [essay])
    pull()
    before = slot(shop)
    # The essays are stored apart and do not come again: neither with another title, nor under another key.
    shop.execute("update notes set title = 'second' where id = 1; update notes set id = 20 where id = 2")
    shop.execute("delete from notes where id = 3")

    pull()

    assert slot(shop) != before
    found = ask("select id, title, length(essay), _deleted_at is null from raw_shop.notes order by id")
    assert found == [
        (1, "second", BIG, True),
        (2, "first", BIG, False),
        (3, "first", BIG, False),
        (4, "first", BIG, True),
        (20, "first", BIG, True),
    ]
    shop.execute("truncate notes; insert into notes values (1, 'back', 'short')")
    pull()
    found = ask("select id, title, length(essay), _deleted_at is null from raw_shop.notes order by id")
    assert [(number, is_there) for number, _, _, is_there in found] == [
        (1, True),
        (2, False),
        (3, False),
        (4, False),
        (20, False),
    ]
    assert found[0] == (1, "back", 5, True)
    # Read as a whole again, because changes were missed: what is gone meanwhile is marked, not forgotten.
    shop.execute("delete from notes where id = 1; insert into notes values (5, 'new', 'short')")
    shop.execute("select pg_drop_replication_slot(%s)", [SLOT])
    assert [told.is_loss for told in pull().log.told] == [True]
    assert ask("select id from raw_shop.notes where _deleted_at is null") == [(5,)]
    assert ask("select count(*) from raw_shop.notes") == [(6,)]


@pytest.mark.parametrize("ask", ["postgresql"], indirect=True)
def test_any_workload_arrives(shop: Any, pull: Any, ask: Ask) -> None:
    shop.execute(TABLES)
    shop.execute("set timezone = 'UTC'")
    work = Workload(shop, 1)
    work.transactions(15)
    options = {"settings": {"deletes": "hard"}}
    pull(**options)
    for round_number in range(3):
        work.transactions(25)
        if round_number == 1:
            work.alter()
            work.transactions(5)
        pull(**options)
        assert_same(shop, ask, soft=False)


POINTS = ("changes settled", "after merge", "before complete", "before confirmation")


@pytest.mark.parametrize(
    ("ask", "deletes", "points"),
    # The emulator takes its time, so it dies only where the rows are there and nobody knows it.
    [("postgresql", "soft", POINTS), ("bigquery", "hard", POINTS[1::2])],
    indirect=["ask"],
)
def test_killed_around_its_load_it_ends_with_what_the_source_has(
    shop: Any, worker: Any, ask: Ask, settings: Any, deletes: str, points: tuple[str, ...]
) -> None:
    shop.execute(TABLES)
    shop.execute("set timezone = 'UTC'")
    work = Workload(shop, seed=11)
    work.transactions(10)
    process = worker(warehouse_url=settings.WAREHOUSE_URL, deletes=deletes)
    assert process.sync() == 0
    for point in points:
        work.transactions(6)
        confirmed = slot(shop)
        assert process.sync(point) == -signal.SIGKILL, point
        assert slot(shop)[:1] == confirmed[:1], point

    assert process.sync() == 0

    assert_same(shop, ask, soft=deletes == "soft")
