"""A followed source from its first sync on: rights, snapshots, the slot, deletions, alterations."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from portal.failures import PortalError, TerminalError
from sources.connectors import get_connector
from sources.connectors.postgres_log import committed
from sources.engines import following

pytestmark = pytest.mark.slow
SLOT = "data_portal_shop"


def slot(shop: Any) -> tuple[Any, ...] | None:
    return shop.execute(
        "select confirmed_flush_lsn::text, active from pg_replication_slots where slot_name = %s", [SLOT]
    ).fetchone()


def people(query: Any) -> list[tuple[Any, ...]]:
    return query("select id, name from raw_shop.people where _deleted_at is null order by id")


@pytest.fixture
def table(shop):
    shop.execute("create table people (id int primary key, name text); insert into people values (1, 'Ada'), (2, 'Bo')")
    return shop


def test_deleted_rows_stay_and_say_when(table, pull, query):
    pull()
    table.execute("delete from people where id = 1; update people set id = 3 where id = 2")
    pull()
    assert query("select id, name, _deleted_at is not null from raw_shop.people order by id") == [
        (1, "Ada", True),
        (2, "Bo", True),
        (3, "Bo", False),
    ]
    table.execute("insert into people values (1, 'Ada again')")
    pull()
    assert people(query) == [(1, "Ada again"), (3, "Bo")]


def test_deleted_rows_go_when_that_is_chosen(table, pull, query):
    hard = {"settings": {"deletes": "hard"}}
    pull(**hard)
    table.execute("delete from people where id = 1")
    pull(**hard)
    assert query("select id, name from raw_shop.people") == [(2, "Bo")]
    table.execute("truncate people; insert into people values (9, 'Cy')")
    pull(**hard)
    assert query("select id, name from raw_shop.people") == [(9, "Cy")]


def test_the_slot_moves_only_after_the_load(table, pull, monkeypatch):
    pull()
    before = slot(table)
    table.execute("insert into people values (3, 'Cy')")
    seen = []
    real = following.Following.confirm

    def look(self, *arguments):
        seen.append(slot(table))
        return real(self, *arguments)

    monkeypatch.setattr(following.Following, "confirm", look)
    pull()
    assert seen == [before]
    assert slot(table) != before


def test_a_confirmation_that_fails_is_no_failed_sync(table, pull, query, monkeypatch):
    pull()
    table.execute("insert into people values (3, 'Cy')")
    monkeypatch.setattr("sources.connectors.postgres_log.committed", lambda *_: 1 / 0)
    assert pull().log is None
    monkeypatch.setattr("sources.connectors.postgres_log.committed", committed)
    table.execute("insert into people values (4, 'Di')")
    assert pull().log is not None
    assert [number for number, _ in people(query)] == [1, 2, 3, 4]


def test_nothing_falls_between_snapshot_and_log_while_others_write(table, pull, query, server):
    stop = threading.Event()

    def write() -> None:
        with server.connect("shop") as connection:
            number = 100
            while not stop.is_set():
                connection.execute("insert into people values (%s, 'x')", [number])
                connection.execute("update people set name = name || 'y' where id = %s", [number - 5])
                connection.commit()
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        pull()
        pull()
    finally:
        stop.set()
        writer.join()
    pull()
    assert people(query) == table.execute("select id, name from people order by id").fetchall()


def test_a_table_that_comes_later_has_a_snapshot_of_its_own(table, pull, query):
    pull("people")
    table.execute("create table later (id int primary key); insert into later values (1), (2)")
    table.execute("insert into people values (3, 'Cy')")
    pull("people", "later")
    table.execute("insert into later values (3); delete from later where id = 1")
    pull("people", "later")
    assert len(people(query)) == 3
    assert query("select id from raw_shop.later where _deleted_at is null order by id") == [(2,), (3,)]


def test_a_lost_slot_is_told_and_everything_read_again(table, pull, query):
    pull()
    table.execute("delete from people where id = 1")
    table.execute("select pg_drop_replication_slot(%s)", [SLOT])
    outcome = pull()
    assert [told.is_loss for told in outcome.log.told] == [True]
    assert "is gone or was invalidated" in outcome.log.told[0].sentence
    assert people(query) == [(2, "Bo")]
    assert query("select id from raw_shop.people where _deleted_at is not null") == [(1,)]


def test_a_slot_that_somebody_moved_is_told(table, pull, query):
    pull()
    table.execute("insert into people values (3, 'Cy')")
    table.execute("select pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())", [SLOT])
    outcome = pull()
    assert "was moved by somebody else" in outcome.log.told[0].sentence
    assert len(people(query)) == 3


def test_a_publication_that_left_a_table_out_for_a_while_is_told(table, pull, query):
    pull()
    table.execute(f"alter publication {SLOT} drop table people")
    table.execute("insert into people values (3, 'Cy')")
    table.execute(f"alter publication {SLOT} add table people")
    outcome = pull()
    assert "left out people for a while" in outcome.log.told[0].sentence
    assert len(people(query)) == 3


def test_a_table_that_was_emptied_keeps_its_rows_and_their_types(table, pull, query):
    table.execute("create table docs (id int primary key, doc jsonb, price numeric(8, 2), day date, at timestamptz)")
    table.execute("insert into docs values (1, '{}', 1.5, '2026-03-01', now())")
    pull()
    table.execute("truncate docs")
    pull()
    assert query("select id, doc, price::varchar, _deleted_at is not null from raw_shop.docs") == [
        (1, "{}", "1.50", True)
    ]


@pytest.mark.parametrize(
    ("alteration", "expected"),
    [
        ("alter table people add column age int", [(1, "Ada", None), (2, "Bo", None), (3, "Cy", None)]),
        ("alter table people add column age int default 7", [(1, "Ada", 7), (2, "Bo", 7), (3, "Cy", 7)]),
    ],
)
def test_a_column_that_comes_appears(table, pull, query, alteration, expected):
    pull()
    table.execute(alteration)
    table.execute("insert into people (id, name) values (3, 'Cy')")
    pull()
    assert query("select id, name, age from raw_shop.people order by id") == expected


def test_a_column_that_goes_stays_and_is_empty_from_then_on(table, pull, query):
    pull()
    table.execute(
        "insert into people values (3, 'Cy'); alter table people drop column name; insert into people values (4)"
    )
    pull()
    assert query("select id, name from raw_shop.people order by id") == [(1, "Ada"), (2, "Bo"), (3, "Cy"), (4, None)]


def test_a_renamed_or_retyped_column_has_the_table_read_again(table, pull, query):
    pull()
    table.execute("alter table people rename column name to label; update people set label = 'Bob' where id = 2")
    outcome = pull()
    assert "the column “name” is called “label” now" in outcome.log.told[0].sentence
    assert query("select id, label from raw_shop.people order by id") == [(1, "Ada"), (2, "Bob")]
    table.execute("alter table people alter column label type int using length(label)")
    pull()
    assert query("select id, label::int from raw_shop.people order by id") == [(1, 3), (2, 3)]


def test_a_dropped_table_fails_alone_with_a_sentence(table, pull, query):
    table.execute("create table gone (id int primary key)")
    pull("people", "gone")
    table.execute("drop table gone; insert into people values (3, 'Cy')")
    with pytest.raises(TerminalError, match="no table “gone” any more"):
        pull("people", "gone")
    assert len(people(query)) == 3


def test_a_table_without_key_is_refused_with_what_to_run(table, pull):
    table.execute("create table log (line text)")
    with pytest.raises(PortalError, match='"log" ADD PRIMARY KEY') as failure:
        pull("people", "log")
    assert "everything, each time" in failure.value.sentence


def test_what_the_database_must_allow_is_said_as_sql(table, follower, pull, server):
    connector = get_connector("postgres")
    assert "Its changes can be followed." in connector.check(follower)
    with server.connect("postgres") as owner:
        owner.autocommit = True
        owner.execute("alter role follower noreplication")
        try:
            with pytest.raises(TerminalError, match='ALTER ROLE "follower" REPLICATION;') as failure:
                connector.check(follower)
        finally:
            owner.execute("alter role follower replication")
    assert "by a column" in failure.value.sentence
    table.execute("reset role")
    table.execute("create table foreign_one (id int primary key); grant select on foreign_one to follower")
    with pytest.raises(TerminalError, match='"foreign_one"'):
        pull()


def test_letting_go_leaves_nothing_at_the_database(table, follower, pull):
    pull()
    connector = get_connector("postgres")
    assert connector.position(follower, "shop").lag_bytes == 0
    assert "was dropped" in connector.let_go(follower, "shop")
    assert slot(table) is None
    assert table.execute("select count(*) from pg_publication").fetchone() == (0,)
    assert "was gone already" in connector.let_go(follower, "shop")
    assert connector.position(follower, "shop").is_lost


def test_a_slot_that_serves_something_else_is_left_alone(table, pull):
    table.execute("select pg_create_physical_replication_slot(%s)", [SLOT])
    try:
        with pytest.raises(TerminalError, match="serves something else"):
            pull()
        assert slot(table) == (None, False)
    finally:
        table.execute("select pg_drop_replication_slot(%s)", [SLOT])
