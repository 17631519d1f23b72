"""The decoder against bytes that a server sent, and against whatever else may come."""

from __future__ import annotations

import random
import struct
from datetime import UTC, datetime

import pytest

from portal.failures import TerminalError
from sources.connectors.pgoutput import (
    UNCHANGED,
    Attribute,
    Begin,
    Commit,
    Delete,
    Insert,
    Relation,
    Truncate,
    Update,
    decode,
    lsn_number,
    lsn_text,
)

# Said by PostgreSQL 18 for: create table t (id int primary key, note text); insert, update, delete in one transaction.
RELATION = bytes.fromhex("52000040067075626c69630074006400020169640000000017ffffffff006e6f74650000000019ffffffff")


def values(*cells: bytes | str | None) -> bytes:
    """A row as the server writes it; "u" stands for a value that did not change."""
    packed = struct.pack(">H", len(cells))
    for cell in cells:
        if cell is None:
            packed += b"n"
        elif cell == "u":
            packed += b"u"
        else:
            packed += b"t" + struct.pack(">I", len(cell)) + cell  # type: ignore[arg-type]
    return packed


def test_a_relation_tells_its_columns_and_which_are_the_key():
    assert decode(RELATION) == Relation(
        16390, "public", "t", "d", (Attribute("id", 23, -1, True), Attribute("note", 25, -1, False))
    )


def test_a_transaction_begins_and_ends_at_its_places_in_the_log():
    at = 826_000_000_000_000
    assert decode(b"B" + struct.pack(">QqI", 99, at, 7)) == Begin(99, datetime(2026, 3, 5, 4, 26, 40, tzinfo=UTC), 7)
    commit = decode(b"C" + struct.pack(">BQQq", 0, 99, 150, at))
    assert isinstance(commit, Commit)
    assert (commit.lsn, commit.end_lsn) == (99, 150)


def test_rows_keep_null_apart_from_empty_and_from_unchanged():
    assert decode(b"I" + struct.pack(">I", 5) + b"N" + values(b"1", None, b"")) == Insert(5, [b"1", None, b""])
    update = decode(b"U" + struct.pack(">I", 5) + b"N" + values(b"1", "u"))
    assert update == Update(5, None, False, [b"1", UNCHANGED])


@pytest.mark.parametrize(("kind", "is_whole"), [(b"K", False), (b"O", True)])
def test_an_old_row_is_the_key_or_everything(kind, is_whole):
    head = struct.pack(">I", 5)
    update = decode(b"U" + head + kind + values(b"1", None) + b"N" + values(b"2", b"x"))
    assert update == Update(5, [b"1", None], is_whole, [b"2", b"x"])
    assert decode(b"D" + head + kind + values(b"1", None)) == Delete(5, [b"1", None], is_whole)


def test_truncate_names_every_table():
    assert decode(b"T" + struct.pack(">IBII", 2, 0, 5, 6)) == Truncate((5, 6))


@pytest.mark.parametrize("kind", [b"Y", b"O", b"M"])
def test_what_says_nothing_about_rows_is_passed_over(kind):
    assert decode(kind + b"\0" * 20) is None


def test_any_row_comes_back_as_it_was_written():
    chance = random.Random(3)
    for _ in range(300):
        cells = [chance.choice([None, "u", chance.randbytes(chance.choice([0, 1, 30, 3000]))]) for _ in range(20)]
        row = [UNCHANGED if cell == "u" else cell for cell in cells]
        assert decode(b"I" + struct.pack(">I", 1) + b"N" + values(*cells)) == Insert(1, row)


def test_bytes_that_are_no_message_stop_the_sync_with_a_sentence():
    whole = b"I" + struct.pack(">I", 1) + b"N" + values(b"abc", b"def")
    for cut in range(len(whole)):
        with pytest.raises(TerminalError, match="something we cannot read"):
            decode(whole[:cut])
    for data in (b"Z", b"I" + struct.pack(">I", 1) + b"X", b"I" + struct.pack(">I", 1) + b"N\0\1q"):
        with pytest.raises(TerminalError):
            decode(data)


def test_places_in_the_log_are_written_as_postgresql_does():
    assert lsn_text(lsn_number("1A/16B3748")) == "1A/16B3748"
    assert lsn_number("1/0") == 1 << 32
