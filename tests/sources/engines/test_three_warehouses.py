"""Loading into DuckDB, PostgreSQL and BigQuery: the same tables, cursors and refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from portal.failures import PortalError, TerminalError
from sources.connectors.base import GONE, Column, Page, StreamSpec, SyncMode
from tests.sources.engines.fakes import row
from tests.warehouses.places import PLACES, Place

pytestmark = pytest.mark.slow

FULL = SyncMode.FULL_REFRESH
Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, settings: Any) -> Place:
    return PLACES[request.param](settings, request)


@pytest.fixture
def ask(place: Place) -> Ask:
    return place.run


def test_a_first_sync_makes_typed_tables(fake: Any, sync: Any, ask: Ask) -> None:
    fake.streams = (
        StreamSpec(
            "things",
            primary_key=("id",),
            columns=(
                *(Column(name, kind) for name, kind in (("id", "bigint"), ("d", "date"), ("t", "timestamp"))),
                *(Column(name, kind) for name, kind in (("m", "decimal"), ("f", "double"), ("b", "bool"))),
                Column("_extra", "json"),
            ),
        ),
    )
    at = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
    things = {"id": 1, "d": date(2026, 1, 2), "t": at, "m": Decimal("12.340000001"), "f": 0.5, "b": True}
    fake.pages["things"] = [Page([{**things, "_extra": '{"x": "é"}'}, {"id": 2}], cursor={"to": 2})]

    outcome = sync("things")

    assert (outcome.rows, outcome.has_new_data) == ({"things": 2}, True)
    assert outcome.streams[0].cursor == {"to": 2}
    first, second = ask("select id, d, t, m, f, b, _extra from raw_fake_one.things order by id")
    assert first[:2] == (1, date(2026, 1, 2))
    assert first[2].astimezone(UTC) == at
    assert first[3:] == (Decimal("12.340000001"), 0.5, True, '{"x": "é"}')
    assert second == (2, None, None, None, None, None, None)
    assert ask("select count(*) from raw_fake_one.things t join raw_fake_one._dlt_loads l"
               " on l.load_id = t._dlt_load_id and l.status = 0") == [(2,)]  # fmt: skip


def test_a_second_sync_goes_on_from_the_cursor_and_merges(fake: Any, sync: Any, ask: Ask) -> None:
    fake.pages["a"] = [Page([row(1), row(2)], cursor="one")]
    sync("a")
    fake.pages["a"] = [Page([row(2, name="earlier")]), Page([row(2, name="later"), row(3)], cursor="two")]

    assert sync("a").streams[0].cursor == "two"

    assert fake.asked[-1][1] == "one"
    found = [("id_1", "name 1"), ("id_2", "later"), ("id_3", "name 3")]
    assert ask("select id, name from raw_fake_one.a order by id") == found
    fake.pages["a"] = [Page([], cursor="three")]
    assert not sync("a").has_new_data


def test_a_full_refresh_replaces_and_one_that_shrinks_is_refused(fake: Any, sync: Any, ask: Ask) -> None:
    fake.pages["a"] = [Page([row(1), row(2)])]
    sync("a", mode=FULL)
    fake.pages["a"] = [Page([row(2, name="new"), row(3)])]
    assert sync("a", mode=FULL).has_new_data
    assert ask("select id, name from raw_fake_one.a order by id") == [("id_2", "new"), ("id_3", "name 3")]
    assert not sync("a", mode=FULL).has_new_data

    fake.pages["a"] = [Page([])]
    with pytest.raises(PortalError, match="more often a fault than the truth"):
        sync("a", mode=FULL)
    assert ask("select count(*) from raw_fake_one.a") == [(2,)]


def test_what_an_owner_no_longer_has_is_gone(fake: Any, sync: Any, ask: Ask) -> None:
    columns = (Column("id"), Column("owner"), Column("name"))
    fake.streams = (StreamSpec("lines", primary_key=("id",), owner_key=("owner",), columns=columns),)
    rows = [{"id": f"{owner}{n}", "owner": owner, "name": "x"} for owner in "abc" for n in (1, 2)]
    fake.pages["lines"] = [Page(rows, cursor=1)]
    sync("lines")
    changed = [{"id": "a2", "owner": "a", "name": "y"}, {"id": "-", "owner": "b", GONE: True}]
    fake.pages["lines"] = [Page(changed, cursor=2)]
    sync("lines")
    assert ask("select id, name from raw_fake_one.lines order by id") == [("a2", "y"), ("c1", "x"), ("c2", "x")]


def test_a_new_column_joins_and_another_type_is_refused(fake: Any, sync: Any, ask: Ask) -> None:
    fake.streams = (StreamSpec("a", primary_key=("id",), columns=(Column("id"), Column("amount", "bigint"))),)
    fake.pages["a"] = [Page([{"id": "1", "amount": 1}], cursor=1)]
    sync("a")
    more = (Column("id"), Column("amount", "bigint"), Column("note"))
    fake.streams = (StreamSpec("a", primary_key=("id",), columns=more),)
    fake.pages["a"] = [Page([{"id": "2", "amount": 2, "note": "new"}], cursor=2)]
    sync("a")
    assert ask("select id, amount, note from raw_fake_one.a order by id") == [("1", 1, None), ("2", 2, "new")]

    fake.streams = (StreamSpec("a", primary_key=("id",), columns=(Column("id"), Column("amount", "bool"))),)
    fake.pages["a"] = [Page([{"id": "3", "amount": True}], cursor=3)]
    with pytest.raises(TerminalError, match="was bigint and comes as bool now"):
        sync("a")
    assert ask("select count(*) from raw_fake_one.a") == [(2,)]


def test_the_warehouse_itself_knows_how_far_it_is(fake: Any, sync: Any, ask: Ask, request_for: Any) -> None:
    """Lost files of this machine are made anew from it, and a table that somebody dropped is read from the beginning."""
    fake.pages["a"], fake.pages["b"] = [Page([row(1)], cursor="one")], [Page([row(1)], cursor="one")]
    sync("a", "b")
    shutil.rmtree(request_for("a").work_dir)
    sync("a", "b")
    assert [since for _, since in fake.asked[-2:]] == ["one", "one"]


def test_a_dropped_table_is_read_from_the_beginning(fake: Any, sync: Any, ask: Ask, place: Place) -> None:
    fake.pages["a"], fake.pages["b"] = [Page([row(1)], cursor="one")], [Page([row(1)], cursor="one")]
    sync("a", "b")
    place.run("drop table raw_fake_one.a")
    fake.pages["a"] = [Page([row(1), row(2)], cursor="two")]
    sync("a", "b")
    assert fake.asked[-2][1] is None
    assert ask("select count(*) from raw_fake_one.a") == [(2,)]
    assert ask("select count(*) from raw_fake_one.b") == [(1,)]
