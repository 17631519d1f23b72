"""Whatever happens at the source, in whatever order: after a sync the warehouse holds what a SELECT of the source shows."""

from __future__ import annotations

import random
from typing import Any

import pytest

pytestmark = pytest.mark.slow

BIG = (
    9000  # characters that do not compress: stored out of line, so an UPDATE that leaves them alone does not send them
)
TABLES = """
create table people (id bigint primary key, name text, essay text, score numeric(12, 2), doc jsonb, at timestamptz);
create table pairs (a int, b text, note text, essay text, primary key (a, b));
create table whole_rows (id int primary key, note text, essay text);
alter table whole_rows replica identity full;
create table by_index (id int primary key, code text not null unique, essay text);
alter table by_index replica identity using index by_index_code_key;
"""
KEYS = {"people": ["id"], "pairs": ["a", "b"], "whole_rows": ["id"], "by_index": ["code"]}


class Workload:
    """Random transactions, some of which are rolled back; the same seed makes the same ones."""

    def __init__(self, shop: Any, seed: int) -> None:
        self.shop = shop
        self.random = random.Random(seed)
        self.extra = 0
        for table in KEYS:
            shop.execute(f"alter table {table} alter essay set storage external")

    def essay(self) -> str:
        return (
            "".join(self.random.choices("abcdefghijklmnopqrstuvwxyz", k=BIG)) if self.random.random() < 0.6 else "short"
        )

    def statement(self) -> None:
        table = self.random.choice(list(KEYS))
        key = KEYS[table]
        some = f"where ctid in (select ctid from {table} order by random() limit {self.random.randint(1, 3)})"
        number, essay = self.random.randint(1, 40), self.essay()
        kind = self.random.choices(
            ["insert", "update", "essay", "move", "swap", "delete", "again", "truncate"], [6, 5, 2, 4, 1, 3, 2, 0.15]
        )[0]
        if kind in ("insert", "again"):
            if kind == "again":
                self.run(f"delete from {table} {some}")
            values = {
                "people": (
                    number,
                    f"name {number}",
                    essay,
                    self.random.randint(0, 9999) / 100,
                    '{"a": 1}',
                    "2026-03-01",
                ),
                "pairs": (number % 6, str(number % 7), "new", essay),
                "whole_rows": (number, "new", essay),
                "by_index": (number, f"c{number}", essay),
            }[table]
            marks = ", ".join(["%s"] * len(values))
            self.shop.execute(f"insert into {table} values ({marks}) on conflict do nothing", values)
        elif kind == "update" and table != "by_index":
            column = {"people": "name"}.get(table, "note")
            self.run(f"update {table} set {column} = 'changed {number}' {some}")
        elif kind == "essay":
            self.shop.execute(f"update {table} set essay = %s {some}", [essay])
        elif kind == "move":
            new = {"b": "b || 'x'", "code": f"code || '{number}'"}.get(key[-1], f"{key[-1]} + {1000 + number}")
            one = f"where ctid in (select ctid from {table} order by random() limit 1)"
            self.run(
                f"update {table} set {key[-1]} = {new} {one} and {key[-1]}::text not in (select {key[-1]}::text from {table} where {key[-1]} = {new})"
            )
        elif kind == "swap" and table in ("people", "whole_rows"):
            rows = self.shop.execute(f"select id from {table} order by random() limit 2").fetchall()
            if len(rows) == 2:
                (one,), (other,) = rows
                for was, new in ((one, -1), (other, one), (-1, other)):
                    self.run(f"update {table} set id = {new} where id = {was}")
        elif kind == "delete":
            self.run(f"delete from {table} {some}")
        elif kind == "truncate":
            self.run(f"truncate {table}")

    def run(self, sql: str) -> None:
        self.shop.execute(sql)

    def alter(self) -> None:
        table = self.random.choice(["people", "pairs"])
        self.extra += 1
        for sql in self.random.choice(
            [
                (
                    f"alter table {table} add column extra_{self.extra} int",
                    f"update {table} set extra_{self.extra} = 5 where essay <> 'short'",
                ),
                (f"alter table {table} add column extra_{self.extra} text default 'given'",),
                (
                    f"alter table {table} rename column {'name' if table == 'people' else 'note'} to swapped",
                    f"alter table {table} rename column swapped to {'name' if table == 'people' else 'note'}",
                ),
            ]
        ):
            self.run(sql)

    def transactions(self, count: int) -> None:
        import psycopg

        for _ in range(count):
            try:
                with self.shop.transaction():
                    for _ in range(self.random.randint(1, 8)):
                        with self.shop.transaction():
                            self.statement()
                    if self.random.random() < 0.2:
                        raise psycopg.Rollback
            except psycopg.errors.UniqueViolation:
                continue


def at_source(shop: Any, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    names = [
        name
        for (name,) in shop.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by 1",
            [table],
        )
    ]
    columns = ", ".join("extract(epoch from at)::bigint::text" if name == "at" else f"{name}::text" for name in names)
    rows = shop.execute(f"select {columns} from {table}").fetchall()
    return names, sorted(rows, key=repr)


def in_warehouse(query: Any, table: str, names: list[str], *, soft: bool) -> list[tuple[Any, ...]]:
    there = {name for (name,) in query(f"select column_name from duckdb_columns() where table_name = '{table}'")}
    spelled = {"at": 'epoch("at")::bigint::varchar'}
    columns = ", ".join(spelled.get(name, f"{name}::varchar") if name in there else "null" for name in names)
    where = "where _deleted_at is null" if soft else ""
    return sorted(query(f"select {columns} from raw_shop.{table} {where}"), key=repr)


def assert_same(shop: Any, query: Any, *, soft: bool) -> None:
    for table in KEYS:
        names, rows = at_source(shop, table)
        found = in_warehouse(query, table, names, soft=soft)
        if found != rows:
            # Said briefly: the values are long.
            missing, extra = ([short(r) for r in a if r not in b][:5] for a, b in ((rows, found), (found, rows)))
            pytest.fail(f"{table} {names}: {len(rows)} rows at the source, {len(found)} here\n{missing=}\n{extra=}")


def short(row: tuple[Any, ...]) -> list[str]:
    return [str(value)[:12] for value in row]


@pytest.mark.parametrize(("seed", "deletes"), [(1, "soft"), (2, "hard"), (3, "soft"), (4, "hard")])
def test_any_workload_arrives(shop, pull, query, seed, deletes):
    shop.execute(TABLES)
    shop.execute("set timezone = 'UTC'")
    work = Workload(shop, seed)
    work.transactions(15)
    options = {"settings": {"deletes": deletes}}
    pull(**options)
    assert_same(shop, query, soft=deletes == "soft")
    for round_number in range(5):
        work.transactions(25)
        if round_number in (1, 3):
            work.alter()
            work.transactions(5)
        pull(**options)
        assert_same(shop, query, soft=deletes == "soft")
