"""PostgreSQL as it is: a real server, real types, real refusals."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from portal.failures import TerminalError, TransientError
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest, SyncMode
from sources.connectors.postgres_errors import explain

pytestmark = pytest.mark.slow


def read(settings: dict[str, Any], name: str, since: Any = None, **options: Any) -> tuple[list[dict[str, Any]], Any]:
    """Everything one read hands out, and the cursor it ends with."""
    rows, cursor = [], since
    for page in get_connector("postgres").read(settings, StreamRequest(name, **options), since):
        if isinstance(page.rows, pa.RecordBatch | pa.Table):
            rows += page.rows.to_pylist()
        cursor = cursor if page.cursor is None else page.cursor
    return rows, cursor


def test_every_common_type_arrives_as_what_it_is(postgres, database):
    database.execute(
        """
        create type mood as enum ('happy', 'sad');
        create domain euros as numeric(10, 2);
        create type pair as (x int, y text);
        create table kinds (
            id bigint primary key, small smallint, whole int, price numeric(12, 2), wide numeric(60, 2), free numeric,
            in_euros euros, ratio double precision, single real, yes boolean, day date, at timestamptz, plain timestamp,
            key uuid, doc jsonb, text_doc json, mood mood, tags text[], numbers int[], duo pair, address inet,
            span interval, cash money, bytes bytea, clock time, note varchar(20), fixed char(3), "Mixed Case" text
        );
        insert into kinds values (
            1, -3, 2147483647, 1234567890.10, 12345678901234567890123456789012345678901234567890.12, 3.14159265358979,
            9.99, 0.1, 0.5, true, '2026-03-01', '2026-03-01 12:00:00.123456+02', '2026-03-01 12:00:00',
            '6f1c1a4e-6f62-4f0c-9f5b-0a4b1c2d3e4f', '{"b": [1, null], "a": "ü"}', '{"z":1}', 'sad',
            array['a,b', 'c"d', null], array[1, 2], row(7, 'seven'), '10.0.0.1', '1 day 02:03:04', '12.34',
            '\\x00ff', '23:59:58', 'naïve', 'ab', 'yes'
        );
        """
    )

    (row,), _ = read(postgres, "kinds", sync_mode=SyncMode.FULL_REFRESH)

    assert row == {
        "id": 1,
        "small": -3,
        "whole": 2147483647,
        "price": Decimal("1234567890.10"),
        "wide": "12345678901234567890123456789012345678901234567890.12",
        "free": Decimal("3.141592654"),
        "in_euros": Decimal("9.99"),
        "ratio": 0.1,
        "single": 0.5,
        "yes": True,
        "day": date(2026, 3, 1),
        "at": datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC),
        "plain": datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        "key": "6f1c1a4e-6f62-4f0c-9f5b-0a4b1c2d3e4f",
        "doc": '{"a": "ü", "b": [1, null]}',
        "text_doc": '{"z":1}',
        "mood": "sad",
        "tags": '["a,b","c\\"d",null]',
        "numbers": "[1,2]",
        "duo": '{"x":7,"y":"seven"}',
        "address": "10.0.0.1/32",
        "span": "1 day 02:03:04",
        "cash": "$12.34",
        "bytes": "AP8=",
        "clock": "23:59:58",
        "note": "naïve",
        "fixed": "ab",
        "Mixed Case": "yes",
    }


def test_values_no_warehouse_can_hold_become_empty(postgres, database):
    database.execute(
        "create table odd (id int primary key, n numeric(8, 2), free numeric, day date, at timestamptz, plain timestamp);"
        "insert into odd values (1, 'NaN', 'NaN', 'infinity', '-infinity', 'infinity'), (2, 1, 'Infinity', null, null, null)"
    )

    rows, _ = read(postgres, "odd", sync_mode=SyncMode.FULL_REFRESH)

    assert rows[0] == {"id": 1, "n": None, "free": None, "day": None, "at": None, "plain": None}
    assert rows[1]["free"] is None


def test_json_and_empty_tables_keep_their_types(postgres, database):
    database.execute("create table empty (id int primary key, doc jsonb, at timestamptz)")

    (page,) = get_connector("postgres").read(postgres, StreamRequest("empty", SyncMode.FULL_REFRESH), None)

    assert page.rows.num_rows == 0
    assert page.rows.schema.field("doc").metadata == {b"type": b"json"}
    assert page.rows.schema.field("at").type == pa.timestamp("us", "UTC")


def test_discover_offers_keys_and_cursors(postgres, database):
    database.execute(
        "create table users (id bigint primary key, email text, created_at timestamptz, updated_at timestamptz, age int);"
        "create table tags (a int, b int, primary key (b, a));"
        "create table log (line text);"
        "create schema billing; create table billing.charges (id int primary key, at timestamp);"
        "create table parted (id int, day date) partition by range (day);"
        "create table parted_one partition of parted for values from ('2026-01-01') to ('2027-01-01');"
        "grant usage on schema billing to reader; grant select on billing.charges to reader"
    )

    found = {spec.name: spec for spec in get_connector("postgres").discover(postgres)}

    assert set(found) == {"users", "tags", "log", "billing.charges", "parted"}
    assert found["users"].primary_key == ("id",)
    assert found["users"].cursor_fields == ("updated_at", "created_at", "id")
    assert found["users"].sync_modes[0] is SyncMode.INCREMENTAL
    assert found["tags"].primary_key == ("b", "a")
    assert found["log"].sync_modes[0] is SyncMode.FULL_REFRESH
    only = get_connector("postgres").discover({**postgres, "schemas": ["billing"]})
    assert [spec.name for spec in only] == ["billing.charges"]


def users(database: psycopg.Connection[Any]) -> None:
    database.execute("create table users (id int primary key, name text, updated_at timestamptz)")
    database.execute(
        "insert into users select i, 'u' || i, '2026-03-01'::timestamptz + i * interval '1 hour' from generate_series(1, 5) i"
    )


def test_second_read_brings_only_what_is_new_or_changed(postgres, database):
    users(database)
    first, cursor = read(postgres, "users", cursor_field="updated_at")
    assert len(first) == 5
    assert read(postgres, "users", cursor, cursor_field="updated_at") == ([], cursor)
    database.execute("insert into users values (6, 'u6', '2026-03-02')")
    database.execute("update users set name = 'new', updated_at = '2026-03-03' where id = 1")

    rows, cursor = read(postgres, "users", cursor, cursor_field="updated_at")

    assert sorted((row["id"], row["name"]) for row in rows) == [(1, "new"), (6, "u6")]
    assert read(postgres, "users", cursor, cursor_field="updated_at") == ([], cursor)


def test_rows_that_share_the_last_time_are_not_lost(postgres, database):
    users(database)
    _, cursor = read(postgres, "users", cursor_field="updated_at")
    database.execute("insert into users select 9, 'tie', max(updated_at) from users")

    rows, _ = read(postgres, "users", cursor, cursor_field="updated_at")

    assert 9 in {row["id"] for row in rows}


def test_rows_that_were_committed_late_are_found(postgres, database):
    users(database)
    with psycopg.connect(postgres["admin_uri"]) as slow:
        slow.execute("insert into users values (7, 'late', '2026-03-01 04:58:00+00')")
        _, cursor = read(postgres, "users", cursor_field="updated_at")
        slow.commit()

    rows, cursor = read(postgres, "users", cursor, cursor_field="updated_at")

    assert {row["id"] for row in rows} == {5, 7}
    assert read(postgres, "users", cursor, cursor_field="updated_at") == ([], cursor)


def test_rows_without_a_cursor_value_are_found(postgres, database):
    users(database)
    _, cursor = read(postgres, "users", cursor_field="updated_at")
    database.execute("insert into users values (8, 'timeless', null), (10, 'endless', 'infinity')")

    rows, cursor = read(postgres, "users", cursor, cursor_field="updated_at")

    assert {8, 10} <= {row["id"] for row in rows}
    assert read(postgres, "users", cursor, cursor_field="updated_at") == ([], cursor)


def test_whole_numbers_lead_too(postgres, database):
    users(database)
    _, cursor = read(postgres, "users", cursor_field="id")
    database.execute("insert into users values (6, 'u6', null)")

    rows, _ = read(postgres, "users", cursor, cursor_field="id")

    assert [row["id"] for row in rows] == [6]


def test_an_empty_table_is_read_again_from_the_beginning(postgres, database):
    database.execute("create table users (id int primary key, name text, updated_at timestamptz)")
    rows, cursor = read(postgres, "users", cursor_field="updated_at")
    assert (rows, cursor) == ([], None)


def test_check_says_what_it_found(postgres, database):
    users(database)
    sentence = get_connector("postgres").check(postgres)
    assert sentence.startswith("Connected to PostgreSQL 18")
    assert sentence.endswith("The user can read one table.")


def test_a_user_who_may_read_nothing_is_told(postgres, database):
    with pytest.raises(TerminalError, match="may read no table"):
        get_connector("postgres").check(postgres)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"password": "wrong-password"}, "unauthorized", "did not accept this user and password"),
        ({"database": "nope"}, "database", "no database of that name"),
        ({"user": "nobody"}, "unauthorized", "Check the user name"),
        ({"host": ""}, "settings", "host is missing"),
    ],
)
def test_what_cannot_connect_is_said_in_words(postgres, change, kind, words):
    with pytest.raises(TerminalError) as raised:
        get_connector("postgres").check({**postgres, **change})
    failure = raised.value
    assert failure.kind == kind
    assert words in failure.sentence
    assert "wrong-password" not in failure.detail + failure.sentence


def test_a_server_that_is_not_there_may_come_back(postgres):
    with pytest.raises(TransientError) as failure:
        get_connector("postgres").check({**postgres, "host": "127.0.0.1", "port": 1})
    assert failure.value.kind == "unreachable"
    assert "Check host and port" in failure.value.sentence


def test_what_cannot_be_read_is_said_in_words(postgres, database):
    users(database)
    database.execute("create table hidden (id int primary key); revoke all on hidden from reader")

    with pytest.raises(TerminalError) as failure:
        read(postgres, "hidden", sync_mode=SyncMode.FULL_REFRESH)
    assert failure.value.kind == "forbidden"
    assert "GRANT SELECT ON hidden" in failure.value.sentence
    with pytest.raises(TerminalError, match="no table “gone”"):
        read(postgres, "gone")
    with pytest.raises(TerminalError, match="no column “nope”"):
        read(postgres, "users", cursor_field="nope")


def test_a_query_that_takes_too_long_is_called_off(postgres, database, monkeypatch):
    from sources.connectors import postgres_session as module

    database.execute("create view slow as select 1 as id, pg_sleep(5)::text as nap")
    monkeypatch.setattr(module, "MINUTE", 100)
    with pytest.raises(TransientError, match="took longer than allowed"):
        read({**postgres, "statement_minutes": 1}, "slow", sync_mode=SyncMode.FULL_REFRESH)


def test_odd_names_are_quoted(postgres, database):
    database.execute(
        """create table "we""ird.table" ("a ""b" int primary key, t text); insert into "we""ird.table" values (1, '''')"""
    )
    rows, _ = read(postgres, 'we"ird.table', sync_mode=SyncMode.FULL_REFRESH)
    assert rows == [{'a "b': 1, "t": "'"}]


RECORDED = json.loads((Path(__file__).parents[2] / "fixtures" / "postgresql" / "errors.json").read_text())


class Recorded(Exception):
    """What the driver raises: a message, and the SQLSTATE while querying."""

    def __init__(self, text: str, sqlstate: str | None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


@pytest.mark.parametrize("recorded", RECORDED["query_errors"], ids=lambda each: each["sqlstate"])
def test_recorded_refusals_of_queries_name_the_table(recorded):
    failure = explain(Recorded(recorded["message"], recorded["sqlstate"]), "accounts")
    assert "“accounts”" in failure.sentence
    assert recorded["message"] in failure.detail
    assert failure.is_transient is (recorded["sqlstate"] == "57014")


@pytest.mark.parametrize("recorded", RECORDED["connection_errors"], ids=lambda each: each["sqlstate"])
def test_recorded_refusals_of_connections_are_final(recorded):
    failure = explain(Recorded(recorded["stderr"], None))
    assert failure.kind == {"28P01": "unauthorized", "3D000": "database"}[recorded["sqlstate"]]
    assert not failure.is_transient
