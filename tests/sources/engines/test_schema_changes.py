"""Changed columns with the real engine on a real DuckDB file: noticed, taken or held, and never at a loss of values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from sources.connectors.base import Again, Page, StreamSpec, SyncMode
from sources.engines.base import TerminalSyncError
from tests.sources.engines.fakes import row

pytestmark = pytest.mark.slow

FULL = SyncMode.FULL_REFRESH
ROWS = 'select * exclude _dlt_load_id from raw_fake_one.a order by "id"'


@pytest.fixture
def brings(fake):
    """Rows as Arrow tables, as a database sends them: what comes decides the columns."""
    fake.streams = tuple(StreamSpec(name, primary_key=("id",), cursor_fields=("at",)) for name in ("a", "b"))

    def bring(stream: str = "a", cursor: str = "one", schema: pa.Schema | None = None, **columns):
        fake.pages[stream] = [Page(pa.table(columns, schema=schema), cursor=cursor)]

    return bring


def told(outcome) -> list[tuple[str, str, str, str]]:
    return [(change.kind, change.column, change.old_type, change.new_type) for change in outcome.streams[0].changes]


def type_of(query, column: str) -> str:
    return query(
        "select data_type from duckdb_columns() where schema_name = 'raw_fake_one' and table_name = 'a'"
        f" and column_name = '{column}'"
    )[0][0]


def test_a_first_read_changes_nothing(brings, sync):
    brings(id=["1"], amount=[1])

    assert told(sync("a")) == []


def test_an_added_column_is_noticed_once(brings, sync, query):
    brings(id=["1"], amount=[1])
    sync("a")
    brings(id=["2"], amount=[2], tax=[3])

    assert told(sync("a")) == [("added", "tax", "", "bigint")]
    assert told(sync("a")) == []
    assert query(ROWS) == [("1", 1, None), ("2", 2, 3)]


@pytest.mark.parametrize("mode", SyncMode)
def test_a_vanished_column_stays_and_is_empty_from_then_on(brings, sync, query, mode):
    brings(id=["1"], amount=[1])
    sync("a", mode=mode)
    brings(id=["2"])

    assert told(sync("a", mode=mode)) == [("vanished", "amount", "bigint", "")]
    assert told(sync("a", mode=mode)) == []
    assert query(ROWS)[-1] == ("2", None)


def test_a_column_that_comes_back_is_noticed(brings, sync, query):
    for columns in ({"amount": [1]}, {}, {"amount": [5]}):
        brings(id=["1"], **columns)
        outcome = sync("a")

    assert told(outcome) == [("added", "amount", "", "bigint")]
    assert query(ROWS) == [("1", 5)]


@pytest.mark.parametrize(
    ("old", "new", "type_there", "values"),
    [
        ([1], [1.5], "DOUBLE", [1.0, 1.5]),
        ([1], pa.array([Decimal("1.50")], pa.decimal128(10, 2)), "DECIMAL(21,2)", [Decimal("1.00"), Decimal("1.50")]),
        (
            pa.array([Decimal("1.50")], pa.decimal128(10, 2)),
            pa.array([Decimal("0.125")], pa.decimal128(9, 3)),
            "DECIMAL(11,3)",
            [Decimal("1.500"), Decimal("0.125")],
        ),
        (
            [date(2026, 1, 2)],
            pa.array([datetime(2026, 1, 2, 3, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "TIMESTAMP WITH TIME ZONE",
            [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, 3, tzinfo=UTC)],
        ),
        ([1], ["x"], "VARCHAR", ["1", "x"]),
        ([1.5], ["x"], "VARCHAR", ["1.5", "x"]),
        ([True], ["x"], "VARCHAR", ["true", "x"]),
        ([date(2026, 1, 2)], ["x"], "VARCHAR", ["2026-01-02", "x"]),
        (
            pa.array([datetime(2026, 1, 2, 3, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            ["x"],
            "VARCHAR",
            ["2026-01-02 03:00:00+00", "x"],
        ),
    ],
)
def test_a_wider_type_widens_the_column_and_keeps_every_value(brings, sync, query, old, new, type_there, values):
    brings(id=["1"], value=old)
    sync("a")
    brings(id=["2"], value=new)

    outcome = sync("a")

    assert next(change.kind for change in outcome.streams[0].changes) in ("widened", "changed")
    assert type_of(query, "value") == type_there
    assert [value for _, value in query(ROWS)] == values
    assert told(sync("a")) == []


@pytest.mark.parametrize(
    ("old", "new", "type_there", "values"),
    [
        ([1.5], [2], "DOUBLE", [1.5, 2.0]),
        (["x"], [12], "VARCHAR", ["x", "12"]),
        (["x"], [date(2026, 1, 2)], "VARCHAR", ["x", "2026-01-02"]),
    ],
)
def test_a_narrower_type_is_kept_in_the_wider_column(brings, sync, query, old, new, type_there, values):
    brings(id=["1"], value=old)
    sync("a")
    brings(id=["2"], value=new)

    assert told(sync("a"))[0][0] == "changed"
    assert type_of(query, "value") == type_there
    assert [value for _, value in query(ROWS)] == values


@pytest.mark.parametrize(
    ("old", "new"), [([1], [date(2026, 1, 2)]), ([True], [2]), ([2**53 + 1], [1.5]), ([1.5], [2**53 + 1])]
)
def test_types_without_a_common_one_are_refused_and_the_sibling_loads(brings, sync, query, old, new):
    brings(id=["1"], value=old)
    brings("b", id=["1"])
    sync("a", "b")
    brings(id=["2"], value=new, cursor="two")
    brings("b", id=["2"])

    with pytest.raises(TerminalSyncError, match="eset the stream") as failure:
        sync("a", "b")

    assert failure.value.outcome.streams[0].cursor == "one"
    assert query(ROWS) == [("1", old[0])]
    assert query("select count(*) from raw_fake_one.b") == [(2,)]


@pytest.mark.parametrize(
    ("old", "new", "type_there"),
    [([1], [1.5], "DOUBLE"), ([1.5], [1], "BIGINT"), ([1], [date(2026, 1, 2)], "DATE"), (["x"], [1], "BIGINT")],
)
def test_a_full_refresh_takes_the_types_that_come(brings, sync, query, old, new, type_there):
    brings(id=["1"], value=old)
    sync("a", mode=FULL)
    brings(id=["1"], value=new)

    assert told(sync("a", mode=FULL))[0][0] in ("widened", "changed")
    assert type_of(query, "value") == type_there
    assert query(ROWS) == [("1", new[0])]


def test_after_a_reset_with_other_types_merging_casts_nothing(brings, sync, query):
    for value in (1, 2):  # twice, so that there is a table in which merged rows are staged
        brings(id=[str(value)], value=[value])
        sync("a")
    brings(id=["1", "2"], value=[date(2026, 1, 1), date(2026, 1, 2)])
    sync("a", again=Again("1"))
    brings(id=["2", "3"], value=[date(2026, 2, 2), date(2026, 2, 3)])
    sync("a")

    assert type_of(query, "value") == "DATE"
    assert query(ROWS) == [("1", date(2026, 1, 1)), ("2", date(2026, 2, 2)), ("3", date(2026, 2, 3))]


def test_a_full_refresh_may_change_the_type_of_its_key(brings, sync, query):
    brings(id=[1], value=[1])
    sync("a", mode=FULL)
    brings(id=["one"], value=[1])
    sync("a", mode=FULL)
    brings(id=["two"], value=[1])
    sync("a", mode=FULL)

    assert query(ROWS) == [("two", 1)]


# --- hold ----------------------------------------------------------------------------------------------------------
def test_a_held_stream_keeps_rows_and_cursor_and_its_sibling_loads(brings, fake, sync, query):
    brings(id=["1"], amount=[1])
    brings("b", id=["1"])
    sync("a", "b", holds_changes=True)
    brings(id=["2"], cursor="two")
    brings("b", id=["2"])

    with pytest.raises(TerminalSyncError, match="“amount” vanished") as failure:
        sync("a", "b", holds_changes=True)

    outcome = failure.value.outcome.streams[0]
    assert failure.value.kind == "held"
    assert [(change.key, change.is_held) for change in outcome.changes] == [("vanished:amount:", True)]
    assert outcome.cursor == "one"
    assert query(ROWS) == [("1", 1)]
    assert query("select count(*) from raw_fake_one.b") == [(2,)]


def test_what_was_agreed_to_loads_exactly_once(brings, fake, sync, query):
    brings(id=["1"], amount=[1])
    sync("a", holds_changes=True)
    brings(id=["2"], cursor="two")
    with pytest.raises(TerminalSyncError):
        sync("a", holds_changes=True)

    outcome = sync("a", holds_changes=True, agreed_changes=frozenset(["vanished:amount:"]))

    assert fake.asked[-1][1] == "one"
    assert [(change.key, change.is_held) for change in outcome.streams[0].changes] == [("vanished:amount:", False)]
    assert query(ROWS) == [("1", 1), ("2", None)]
    assert told(sync("a", holds_changes=True)) == []
    assert query(ROWS) == [("1", 1), ("2", None)]


def test_another_change_than_the_agreed_one_is_held_again(brings, sync):
    brings(id=["1"], amount=[1])
    sync("a", holds_changes=True)
    brings(id=["2"], tax=[1])

    with pytest.raises(TerminalSyncError, match="“tax” was added"):
        sync("a", holds_changes=True, agreed_changes=frozenset(["vanished:amount:"]))


def test_a_column_that_changes_back_is_held_no_longer(brings, sync, query):
    brings(id=["1"], amount=[1])
    sync("a", holds_changes=True)
    brings(id=["2"])
    with pytest.raises(TerminalSyncError):
        sync("a", holds_changes=True)
    brings(id=["2"], amount=[2])

    assert told(sync("a", holds_changes=True)) == []
    assert query(ROWS) == [("1", 1), ("2", 2)]


# --- behind declared columns ------------------------------------------------------------------------------------------
def test_a_new_field_of_a_vendor_is_news_and_holds_nothing(fake, sync):
    fake.pages["a"] = [Page([row(1, _extra='{"x": 1}')], cursor="one")]
    sync("a", holds_changes=True)
    fake.pages["a"] = [Page([row(2, _extra='{"x": 1, "y": 2}')], cursor="two")]

    assert told(sync("a", holds_changes=True)) == [("new_field", "y", "", "")]
    assert told(sync("a", holds_changes=True)) == []


def test_a_declared_column_that_is_empty_all_at_once_is_suspicious(fake, sync):
    fake.pages["a"] = [Page([row(number) for number in range(30)], cursor="one")]
    sync("a", mode=FULL)
    sync("a", mode=FULL)
    fake.pages["a"] = [Page([row(number, name=None) for number in range(30)], cursor="two")]

    assert told(sync("a", mode=FULL)) == [("emptied", "name", "", "")]
