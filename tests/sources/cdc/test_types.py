"""Every value arrives from the log as a SELECT would bring it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sources.connectors import get_connector
from sources.connectors.base import StreamRequest, SyncMode
from sources.connectors.log import ChangedRows

pytestmark = pytest.mark.slow

TYPES = """
create type mood as enum ('happy', 'sad');
create domain euros as numeric(10, 2);
create domain code as text check (value ~ '^[a-z]+$');
create type pair as (x int, y text, at timestamptz, ok bool, tags text[], sub numeric);
create type span_of as range (subtype = float8);
create table kinds (
    id bigint primary key, small smallint, whole int, price numeric(12, 2), negative_scale numeric(6, -2), wide numeric(60, 2), free numeric,
    in_euros euros, code code, ratio double precision, single real, yes boolean, day date, at timestamptz, plain timestamp,
    key uuid, doc jsonb, text_doc json, mood mood, tags text[], numbers int[], nested int[][], moods mood[], euros euros[], docs jsonb[], flags bool[],
    moments timestamptz[], plains timestamp[], days date[], floats float8[], keys uuid[], blobs bytea[], duo pair, duos pair[],
    address inet, net cidr, mac macaddr, span interval, spans interval[], cash money, bytes bytea, clock time, clock_tz timetz, note varchar(20), fixed char(5), letter "char",
    ints int4range, periods tstzrange, many int4multirange, own span_of, bits bit(4), varbits varbit, spot point, search tsvector, doc_xml text, oid_of oid,
    "Mixed Case" text, doubled bigint generated always as (id * 2) stored
);
"""
COMMON = {
    1: """1, -3, 2147483647, 1234567890.10, 12300, 12345678901234567890123456789012345678901234567890.12, 3.14159265358979,
        9.99, 'abc', 0.1, 0.1, true, '2026-03-01', '2026-03-01 12:00:00.123456+02', '2026-03-01 12:00:00',
        '6f1c1a4e-6f62-4f0c-9f5b-0a4b1c2d3e4f', '{"b": [1, null], "a": "ü"}', '{"z":1}', 'sad',
        array['a,b', 'c"d', null, '', 'NULL', 'back\\slash', E'new\nline\ttab', '{x}', ' pad ', 'é', E'\\u0001'], array[1, null, -2], array[[1,2],[3,4]], array['sad','happy']::mood[], array[1.5, null]::euros[],
        array['{"a": "q\\"uote"}', '[1, 2]']::jsonb[], array[true, false, null],
        array['2026-03-01 12:00:00.5+02', 'infinity']::timestamptz[], array['2026-03-01 12:00:00']::timestamp[], array['2026-03-01','infinity']::date[], array['NaN', 'Infinity', 1.5, 1e30]::float8[],
        array['6f1c1a4e-6f62-4f0c-9f5b-0a4b1c2d3e4f']::uuid[], array['\\x00ff', '\\x']::bytea[], row(7, 'se"v,en \\ (x)', '2026-03-01 12:00:00+00', true, array['a,b', 'c"d'], 'NaN')::pair, array[row(1, null, null, null, null, null)::pair, row(2, '', 'infinity', false, '{}', 1.50)::pair],
        '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', '1 day 02:03:04', array['1 mon -2 days'::interval], '12.34', '\\x00ff', '23:59:58.5', '23:59:58+02', 'naïve ', 'ab', 'q',
        '[1,5)', '[2026-01-01 00:00:00+00,infinity)', '{[1,2),[5,7)}', '[1.5,2.5]', B'1010', B'11', '(1,2)', 'a fat cat', '<a>1</a>', 4000000000, 'yes'""",
    2: "2",
    3: """3, 0, 0, 'NaN', 0, 'NaN', 'Infinity', 'NaN', 'x', 'NaN', '-Infinity', false, 'infinity', '-infinity', 'infinity',
        null, 'null', 'null', null, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', row(null, '', null, null, null, null)::pair, '{}',
        '::1', '::/0', null, '-1 year', null, '-5', ''::bytea, '00:00', '00:00+00', '', '', '',
        'empty', '(,)', '{}', '(,2.5)', B'0000', B'', null, '', '', 0, ''""",
    4: """4, 32767, -2147483648, -0.01, -1200, 0.1, -12345678901234567890.1234567895, -0.5, 'y', 1e300, 3.4e38, true, '0044-03-15 BC',
        '0044-03-15 12:00:00+00 BC', '12026-03-01 01:02:03.4', null, '"text"', ' [1 ,2]', 'happy', '[0:1]={1,2}', '[2:3]={7,8}', null, null, null, null, null,
        array['0044-03-15 12:00:00+00 BC']::timestamptz[], null, array['0044-03-15 BC']::date[], null, null, null, null, null, 'fe80::1/64', null, null, 'infinity', null, null, decode(repeat('abcdef', 40), 'hex'),
        '24:00:00', null, E'tab\\t"quoted"', 'a  b', null, null, null, null, null, null, null, null, null, null, null, 'ü'""",
}


def read_whole(settings, stream, columns):
    rows = []
    for page in get_connector("postgres").read(
        {**settings, "changes": "cursor"}, StreamRequest(stream, SyncMode.FULL_REFRESH), None
    ):
        table = pa.table(page.rows) if isinstance(page.rows, pa.Table) else pa.Table.from_batches([page.rows])
        rows.append(table.select(columns))
    return pa.concat_tables(rows).sort_by("id")


def read_log(settings, stream, cursor):
    found = list(get_connector("postgres").follow(settings, "shop", [(StreamRequest(stream), cursor)]))
    return next(news.rows for news in found if isinstance(news, ChangedRows)).sort_by("id")


def begin(settings, stream):
    """The cursor of a table that was read whole."""
    *_, reached = get_connector("postgres").follow(settings, "shop", [(StreamRequest(stream), None)])
    return reached.cursor


def test_the_log_brings_what_a_select_brings(shop, follower):
    shop.execute(TYPES)
    cursor = begin(follower, "kinds")
    columns = [name for (name,) in shop.execute(
        "select attname from pg_attribute where attrelid = 'kinds'::regclass and attnum > 0 and attgenerated = '' order by attnum"
    )]  # fmt: skip
    for values in COMMON.values():
        shop.execute(
            f"insert into kinds ({', '.join(columns[: 1 if values == '2' else None]).replace('Mixed Case', chr(34) + 'Mixed Case' + chr(34))}) values ({values})"
        )

    changed = read_log(follower, "kinds", cursor)

    names = [name for name in changed.schema.names if not name.startswith("_")]
    assert "doubled" in names
    whole = read_whole(follower, "kinds", names)
    assert changed.select(names).schema.equals(whole.schema, check_metadata=True)
    for name in names:
        assert plain(changed[name]) == plain(whole[name]), name


def plain(column):
    """Values that can be compared: NaN equals NaN, and years that Python does not know are numbers."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    return [repr(value) for value in column.to_pylist()]
