"""Summing up: one row a key, as after the last change, with what is missing said."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from sources.connectors.base import GONE
from sources.connectors.log import BASE, DELETED_AT, EVERYTHING, KEPT
from sources.connectors.pgoutput import UNCHANGED, Attribute, Delete, Insert, Update
from sources.connectors.postgres_changes import Net, Shape
from sources.connectors.postgres_literals import TypeInfo, to_json
from sources.connectors.postgres_tables import text_column

TYPES = {
    20: TypeInfo(20, "int8", "N", "b"),
    25: TypeInfo(25, "text", "S", "b"),
    1700: TypeInfo(1700, "numeric", "N", "b"),
}
AT = datetime(2026, 3, 1, tzinfo=UTC)


def net(keeps_deleted: bool = True, key_type: int = 20) -> Net:
    attributes = [
        Attribute("id", key_type, -1, True),
        Attribute("note", 25, -1, False),
        Attribute("essay", 25, -1, False),
    ]
    columns = tuple(text_column(attribute, TYPES) for attribute in attributes)
    return Net("t", Shape(columns, (0, 1, 2), (0,), 3), keeps_deleted=keeps_deleted)


def rows(found: Net) -> dict[int, dict]:
    taken = found.take()
    assert taken is not None
    return {row["id"]: row for row in taken.rows.to_pylist()}


def test_the_last_change_of_a_key_wins():
    found = net()
    found.insert(Insert(1, [b"1", b"a", b"x"]))
    found.update(Update(1, None, False, [b"1", b"b", b"x"]), AT)
    assert rows(found) == {1: {"id": 1, "note": "b", "essay": "x", DELETED_AT: None}}
    assert found.take() is None


def test_an_unchanged_value_is_taken_from_an_earlier_change():
    found = net()
    found.insert(Insert(1, [b"1", b"a", b"long"]))
    found.update(Update(1, None, False, [b"1", b"b", UNCHANGED]), AT)
    assert rows(found)[1]["essay"] == "long"


def test_an_unchanged_value_nobody_knows_is_said():
    found = net()
    found.update(Update(1, None, False, [b"1", b"b", UNCHANGED]), AT)
    (row,) = rows(found).values()
    assert (row["note"], row["essay"], row[KEPT], row[BASE + "id"]) == ("b", None, ["essay"], 1)


def test_a_moved_row_takes_its_values_from_the_old_key_through_any_chain():
    found = net()
    for old, new in ((b"1", b"9"), (b"2", b"1"), (b"9", b"2")):  # the rows 1 and 2 change places
        found.update(Update(1, [old, None, None], False, [new, b"moved", UNCHANGED]), AT)
    seen = rows(found)
    assert (seen[1][BASE + "id"], seen[2][BASE + "id"]) == (2, 1)
    assert (seen[1][DELETED_AT], seen[2][DELETED_AT], seen[9][DELETED_AT]) == (None, None, AT)


def test_a_deleted_row_keeps_what_the_warehouse_has():
    found = net()
    found.delete(Delete(1, [b"1", None, None], False), AT)
    (row,) = rows(found).values()
    assert (row[KEPT], row[DELETED_AT]) == ([EVERYTHING], AT)
    found.delete(Delete(1, [b"1", b"n", b"e"], True), AT)
    (row,) = rows(found).values()
    assert (row["note"], row["essay"], row.get(KEPT)) == ("n", "e", None)


def test_a_row_that_comes_again_is_there_again():
    found = net(keeps_deleted=False)
    found.delete(Delete(1, [b"1", None, None], False), AT)
    found.insert(Insert(1, [b"1", b"a", b"x"]))
    found.delete(Delete(1, [b"2", None, None], False), AT)
    seen = rows(found)
    assert (seen[1][GONE], seen[2][GONE]) == (False, True)


def test_equal_numbers_are_one_key_however_they_are_written():
    found = net(key_type=1700)
    found.insert(Insert(1, [b"1.0", b"a", b"x"]))
    found.insert(Insert(1, [b"1.00", b"b", b"x"]))
    taken = found.take()
    assert taken is not None
    assert taken.rows["note"] == pa.chunked_array([["b"]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{1,NULL,-2}", "[1,null,-2]"),
        ("{}", "[]"),
        ("{{1,2},{3,4}}", "[[1,2],[3,4]]"),
        ("[0:1]={1,2}", "[1,2]"),
        ("{1e+30,NaN}", '[1e+30,"NaN"]'),
    ],
)
def test_arrays_become_json(text, expected):
    types = {1: TypeInfo(1, "float8", "N", "b")}
    assert to_json(text, TypeInfo(2, "_float8", "A", "b", element=1), types) == expected
