"""Columns of PostgreSQL and BigQuery that have to hold more: widened with what stands on them, or refused as a whole."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from portal.failures import TerminalError
from sources.connectors.base import Page, StreamSpec
from tests.warehouses.places import PLACES, Place

pytestmark = pytest.mark.slow
MOMENT = datetime(2026, 1, 2, 3, tzinfo=UTC)
MOMENTS = pa.timestamp("us", "UTC")


def exact(value: str, *size: int) -> pa.Array:
    return pa.array([Decimal(value)], pa.decimal128(*size))


# name: (what came first, what comes then, both as they are kept)
WIDER = {
    "share": ([2**53], [1.5], [float(2**53), 1.5]),
    "price": ([1], exact("1.50", 10, 2), [Decimal("1.00"), Decimal("1.50")]),
    "weight": (exact("1.50", 10, 2), exact("0.125", 9, 3), [Decimal("1.500"), Decimal("0.125")]),
    # A narrower type is kept in the wider column.
    "length": ([1.5], [2], [1.5, 2.0]),
    "label": (["x"], [12], ["x", "12"]),
}
WIDER_IN_POSTGRES = {
    "at": ([date(2026, 1, 2)], pa.array([MOMENT], MOMENTS), [datetime(2026, 1, 2, tzinfo=UTC), MOMENT]),
    "code": ([1], ["x"], ["1", "x"]),
    "is_new": ([True], ["x"], ["true", "x"]),
    "seen": (pa.array([MOMENT], MOMENTS), ["x"], ["2026-01-02 03:00:00+00", "x"]),
}


@pytest.fixture
def brings(fake: Any) -> Any:
    fake.streams = (StreamSpec("a", primary_key=("id",), cursor_fields=("at",)),)

    def bring(**columns: Any) -> None:
        fake.pages["a"] = [Page(pa.table(columns), cursor="one")]

    return bring


@pytest.fixture
def postgresql(request: pytest.FixtureRequest, settings: Any) -> Place:
    return PLACES["postgresql"](settings, request)


@pytest.fixture
def bigquery(request: pytest.FixtureRequest, settings: Any) -> Place:
    return PLACES["bigquery"](settings, request)


def widens(brings: Any, sync: Any, place: Place, columns: dict[str, Any]) -> None:
    kinds = []
    for number in (0, 1):
        brings(id=[str(number)], **{name: both[number] for name, both in columns.items()})
        kinds.append({change.column: change.kind for change in sync("a").streams[0].changes})
    assert kinds[0] == {}
    assert kinds[1].keys() == columns.keys()
    assert set(kinds[1].values()) == {"widened", "changed"}
    for name, (_, _, expected) in columns.items():
        assert [value for (value,) in place.run(f"select {name} from raw_fake_one.a order by id")] == expected, name
    assert sync("a").streams[0].changes == []


def test_postgresql_widens_and_keeps_every_value(brings: Any, sync: Any, postgresql: Place) -> None:
    widens(brings, sync, postgresql, WIDER | WIDER_IN_POSTGRES)


def test_bigquery_widens_numbers_and_keeps_every_value(brings: Any, sync: Any, bigquery: Place) -> None:
    widens(brings, sync, bigquery, WIDER)


def test_views_come_back_with_their_readers(brings: Any, sync: Any, postgresql: Place) -> None:
    brings(id=["1"], amount=[1])
    sync("a")
    postgresql.run(
        "drop role if exists analyst; create role analyst; create schema staging;"
        "create view staging.one as select id, amount from raw_fake_one.a;"
        "create view staging.two with (security_barrier = true) as select o.id, amount * 2 as twice"
        " from staging.one as o inner join raw_fake_one.a using (id, amount);"
        "grant select on staging.two to analyst with grant option; grant select on staging.one to public"
    )
    brings(id=["2"], amount=[1.5])

    sync("a")

    assert postgresql.run("select id, twice from staging.two order by id") == [("1", 2.0), ("2", 3.0)]
    grants = postgresql.run(
        "select table_name, grantee, is_grantable from information_schema.role_table_grants"
        " where table_schema = 'staging' and grantee <> 'postgres' order by 1, 2"
    )
    assert grants == [("one", "PUBLIC", "NO"), ("two", "analyst", "YES")]
    assert postgresql.run("select reloptions from pg_class where relname = 'two'") == [(["security_barrier=true"],)]


def test_a_view_that_does_not_take_the_type_keeps_everything_as_it_was(
    brings: Any, sync: Any, postgresql: Place
) -> None:
    brings(id=["1"], amount=[1])
    sync("a")
    postgresql.run("create schema staging; create view staging.one as select id from raw_fake_one.a where amount > 0")
    brings(id=["2"], amount=["many"])

    with pytest.raises(TerminalError, match="was bigint and comes as text now") as no:
        sync("a")

    assert "operator does not exist" in no.value.detail
    assert postgresql.run("select id from staging.one") == [("1",)]
    assert postgresql.run("select id, amount from raw_fake_one.a") == [("1", 1)]


def test_bigquery_is_asked_for_types_it_has(settings: Any) -> None:
    """What a number is declared with, the emulator forgets; Google does not."""
    from sources.engines.backends_bigquery import BigQueryBackend
    from sources.engines.fitting import fitted
    from sources.engines.spool import WarehouseColumn

    class Warehouse:
        address = SimpleNamespace(project="acme")
        asked: ClassVar[list[str]] = []

        def execute(self, statement: str, parameters: Any) -> None:
            self.asked.append(statement.partition(" set data type ")[2])

    for old, new in (("decimal(10,2)", (12, 4)), ("bigint", (38, 18)), ("bigint", (12, 2))):
        column = WarehouseColumn("value", "decimal", pa.decimal128(*new))
        BigQueryBackend(Warehouse()).widen(None, "raw_a", "a", fitted({"value": old}, [column]))  # type: ignore[arg-type]
    assert Warehouse.asked == ["NUMERIC(12, 4)", "BIGNUMERIC(38, 18)", "NUMERIC(21, 2)"]


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("bigquery", [1], ["many"], "BigQuery does not turn a column of bigint into one of text"),
        ("bigquery", [2**53 + 1], [1.5], "too large to be kept exactly"),
        ("postgresql", [2**53 + 1], [1.5], "too large to be kept exactly"),
        ("postgresql", [1.5], [2**53 + 1], "too large to be kept exactly"),
        ("postgresql", [1], [True], "No type holds both without loss"),
    ],
)
def test_what_would_lose_a_value_is_refused(
    brings: Any, sync: Any, request: pytest.FixtureRequest, name: str, old: Any, new: Any, sentence: str
) -> None:
    place = request.getfixturevalue(name)
    brings(id=["1"], value=old)
    sync("a")
    brings(id=["2"], value=new)

    with pytest.raises(TerminalError, match=sentence):
        sync("a")

    assert place.run("select id, value from raw_fake_one.a") == [("1", old[0])]
