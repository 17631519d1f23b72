from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import pytest

from portal.failures import TerminalError
from sources.connectors.base import Column, StreamSpec
from sources.connectors.shape import Shape


def shape(*columns: Column, omit: tuple[str, ...] = ()) -> Shape:
    return Shape(StreamSpec("things", columns=(*columns, Column("_extra", "json"))), omit=omit)


def test_declared_values_get_their_types():
    row = shape(
        Column("id"),
        Column("created", "timestamp"),
        Column("updated", "timestamp"),
        Column("day", "date"),
        Column("amount", "bigint"),
        Column("share", "double"),
        Column("price", "decimal"),
        Column("active", "bool"),
        Column("metadata", "json"),
        Column("missing"),
    ).row(
        {
            "id": 12,
            "created": 1_772_409_600,
            "updated": "2026-03-02T01:02:03+01:00",
            "day": "2026-03-02T00:00:00Z",
            "amount": "5",
            "share": 1,
            "price": "9.90",
            "active": False,
            "metadata": {"b": 1, "a": None},
        }
    )
    assert row == {
        "id": "12",
        "created": datetime(2026, 3, 2, tzinfo=UTC),
        "updated": datetime(2026, 3, 2, 0, 2, 3, tzinfo=UTC),
        "day": date(2026, 3, 2),
        "amount": 5,
        "share": 1.0,
        "price": Decimal("9.90"),
        "active": False,
        "metadata": '{"a":null,"b":1}',
        "missing": None,
        "_extra": None,
    }


def test_what_nobody_declared_is_kept():
    found = shape(Column("id"), Column("interval", "text", "recurring.interval")).row(
        {"id": "p", "recurring": {"interval": "month", "count": 3, "nothing": None}, "new": [1], "empty": None}
    )
    assert found["interval"] == "month"
    assert orjson.loads(found["_extra"]) == {"recurring": {"count": 3}, "new": [1]}


def test_an_object_that_is_used_up_leaves_nothing_behind():
    assert shape(Column("x", "text", "a.b.c")).row({"a": {"b": {"c": "1"}}})["_extra"] is None


def test_omitted_paths_are_dropped():
    assert (
        shape(Column("id"), omit=("object", "head.repo")).row(
            {"id": "1", "object": "thing", "head": {"repo": {"big": 1}, "ref": "main"}}
        )["_extra"]
        == '{"head":{"ref":"main"}}'
    )


def test_the_first_alternative_that_is_there_counts():
    column = Column("coupon", "text", "discount.coupon|discounts.0.coupon")
    assert shape(column).row({"discount": None, "discounts": [{"coupon": "new"}]})["coupon"] == "new"
    assert shape(column).row({"discount": {"coupon": {"id": "old", "percent_off": 5}}})["coupon"] == "old"
    assert shape(column).row({"discounts": []})["coupon"] is None


def test_an_expanded_reference_stands_for_its_id():
    assert shape(Column("customer_id", "text", "customer")).row({"customer": {"id": "cus_1", "name": "A"}}) == {
        "customer_id": "cus_1",
        "_extra": None,
    }


def test_known_values_win():
    assert shape(Column("repository")).row({"repository": {"id": 1}}, repository="a/b")["repository"] == "a/b"


@pytest.mark.parametrize(
    ("kind", "value"),
    [("bigint", "many"), ("bigint", 1.5), ("bool", "yes"), ("timestamp", "soon"), ("timestamp", 10**20), ("date", "x")],
)
def test_a_value_of_another_type_stops_the_stream(kind, value):
    with pytest.raises(TerminalError) as failure:
        shape(Column("field", kind)).row({"id": "obj_1", "field": value})
    assert failure.value.kind == "shape"
    assert "“field”" in failure.value.sentence
    assert "obj_1" in failure.value.detail
    assert str(value) not in failure.value.sentence
