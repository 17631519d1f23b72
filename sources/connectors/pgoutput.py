"""What PostgreSQL's `pgoutput` plugin says, message by message; bytes in, small tuples out, no connection.

The format: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html (protocol version 1: each
transaction arrives whole, after its commit, in the order of commits). Values stay bytes of PostgreSQL's text form; None
is NULL, `UNCHANGED` a large value that an UPDATE did not touch and the server therefore did not send.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from portal.failures import TerminalError

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_count, _size = struct.Struct(">H").unpack_from, struct.Struct(">I").unpack_from
_begin = struct.Struct(">QqI").unpack_from
_commit = struct.Struct(">BQQq").unpack_from
_attribute = struct.Struct(">Ii").unpack_from
_NULL, _TEXT, _TOAST = ord("n"), ord("t"), ord("u")
_NEW, _KEY, _OLD = ord("N"), ord("K"), ord("O")


class Unchanged:
    """The one value that stands for "as it was"."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()
Row = list[Any]  # bytes, None or UNCHANGED, in the order of the relation's columns


class Begin(NamedTuple):
    """`lsn`: where the transaction's commit record begins; `at`: when it was committed."""

    lsn: int
    at: datetime
    xid: int


class Commit(NamedTuple):
    lsn: int
    end_lsn: int
    at: datetime


class Attribute(NamedTuple):
    name: str
    type_oid: int
    modifier: int
    is_key: bool


class Relation(NamedTuple):
    """A table as it is from here on; sent before the first row and again whenever it was altered.

    `identity`: d (primary key), i (an index), f (the whole row), n (nothing).
    """

    oid: int
    schema: str
    name: str
    identity: str
    attributes: tuple[Attribute, ...]


class Insert(NamedTuple):
    relation: int
    new: Row


class Update(NamedTuple):
    """`old` is there when the key changed or the whole row is the identity; `is_whole`: it has every column."""

    relation: int
    old: Row | None
    is_whole: bool
    new: Row


class Delete(NamedTuple):
    relation: int
    old: Row
    is_whole: bool


class Truncate(NamedTuple):
    relations: tuple[int, ...]


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate


def decode(data: bytes) -> Message | None:
    """One message; None for those that say nothing about rows (origin, type, logical message).

    Raises `TerminalError` for bytes that are no message.
    """
    try:
        reader = _READERS[data[0]]
        return reader(data) if reader else None
    except (KeyError, IndexError, struct.error, ValueError, OverflowError) as error:
        raise TerminalError(
            "PostgreSQL's log of changes holds something we cannot read. Nothing was skipped; the sync stopped there.",
            f"{error!r} in a message of {len(data)} bytes of kind {data[:1]!r}",
            kind="protocol",
        ) from error


def _read_begin(data: bytes) -> Begin:
    lsn, at, xid = _begin(data, 1)
    return Begin(lsn, moment(at), xid)


def _read_commit(data: bytes) -> Commit:
    _, lsn, end_lsn, at = _commit(data, 1)
    return Commit(lsn, end_lsn, moment(at))


def _read_relation(data: bytes) -> Relation:
    (oid,) = _size(data, 1)
    schema, at = _text(data, 5)
    name, at = _text(data, at)
    identity = chr(data[at])
    (count,) = _count(data, at + 1)
    at += 3
    attributes = []
    for _ in range(count):
        is_key = bool(data[at] & 1)
        column, at = _text(data, at + 1)
        type_oid, modifier = _attribute(data, at)
        at += 8
        attributes.append(Attribute(column, type_oid, modifier, is_key))
    return Relation(oid, schema or "pg_catalog", name, identity, tuple(attributes))


def _read_insert(data: bytes) -> Insert:
    _expect(data, 5, _NEW)
    return Insert(_size(data, 1)[0], _row(data, 6)[0])


def _read_update(data: bytes) -> Update:
    (relation,) = _size(data, 1)
    old, at, kind = None, 5, data[5]
    if kind in (_KEY, _OLD):
        old, at = _row(data, 6)
    _expect(data, at, _NEW)
    return Update(relation, old, kind == _OLD, _row(data, at + 1)[0])


def _read_delete(data: bytes) -> Delete:
    kind = data[5]
    if kind != _OLD:
        _expect(data, 5, _KEY)
    return Delete(_size(data, 1)[0], _row(data, 6)[0], kind == _OLD)


def _read_truncate(data: bytes) -> Truncate:
    (count,) = _size(data, 1)
    return Truncate(tuple(_size(data, 6 + 4 * place)[0] for place in range(count)))


_READERS: dict[int, Any] = {
    ord("B"): _read_begin,
    ord("C"): _read_commit,
    ord("R"): _read_relation,
    ord("I"): _read_insert,
    ord("U"): _read_update,
    ord("D"): _read_delete,
    ord("T"): _read_truncate,
    ord("Y"): None,  # the name of a type that is not built in; the catalogue tells more
    ord("O"): None,  # where a transaction came from before it reached this server
    ord("M"): None,  # a message that some program put into the log
}


def _row(data: bytes, at: int) -> tuple[Row, int]:
    """The hot loop of a sync: a value each for every column of every row that changed."""
    (count,) = _count(data, at)
    at += 2
    row: Row = []
    for _ in range(count):
        kind = data[at]
        if kind == _TEXT:
            begin = at + 5
            at = begin + _size(data, at + 1)[0]
            if at > len(data):
                raise ValueError("a value is cut off")
            row.append(data[begin:at])
            continue
        if kind == _NULL:
            row.append(None)
        elif kind == _TOAST:
            row.append(UNCHANGED)
        else:
            raise ValueError(f"a value of kind {kind}")
        at += 1
    return row, at


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode(), end + 1


def _expect(data: bytes, at: int, kind: int) -> None:
    if data[at] != kind:
        raise ValueError(f"{data[at : at + 1]!r} where {chr(kind)} should be")


def moment(microseconds: int) -> datetime:
    """PostgreSQL counts microseconds since 2000."""
    return EPOCH + timedelta(microseconds=microseconds)


def lsn_text(lsn: int) -> str:
    """A place in the log as PostgreSQL writes it: 0/16B3748."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)
