"""A replication connection to PostgreSQL: slots with their snapshots, and the log as a stream of messages.

The protocol: https://www.postgresql.org/docs/current/protocol-replication.html. Spoken through libpq (psycopg's `pq`),
so that only we decide what is confirmed: answers to the server say "alive" and never how far we are.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from struct import Struct
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from portal.failures import PortalError, TerminalError, TransientError
from sources.connectors.pgoutput import EPOCH, lsn_text
from sources.connectors.postgres_errors import explain
from sources.connectors.postgres_session import address
from sources.connectors.postgres_types import literal, quoted

ALIVE_EVERY = 10.0  # seconds between signs of life; servers give up after 60 by default
SILENCE = 120.0  # seconds without a word from the server, although it was asked
SLOT_PATIENCE = 300.0  # seconds to wait for transactions that are open, when a slot is made
_DATA, _ALIVE = ord("w"), ord("k")
_HEADER = 25  # of a data message: kind, begin, end, time
_alive = Struct(">BQqB").unpack_from
_status = Struct(">cQQQqB").pack
LOOK_EVERY = 1000  # messages

# So that values have the text form that `postgres_text` reads, whatever the server's defaults are.
_FORMS = (
    "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set bytea_output = 'hex';"
    " set extra_float_digits = 1"
)


class Replication:
    """Close it when done: a temporary slot and an exported snapshot live as long as the connection."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        conninfo = make_conninfo("", **address(settings), replication="database")
        self._connection = pq.PGconn.connect(conninfo.encode())
        if self._connection.status != pq.ConnStatus.OK:
            message = self._message()
            self._connection.finish()
            raise explain(psycopg.OperationalError(message))
        self._spoke_at = time.monotonic()
        for command in _FORMS.split(";"):
            self._command(command.strip())

    def __enter__(self) -> Replication:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.finish()

    def make_slot(self, slot: str, *, is_temporary: bool = False) -> tuple[str, str]:
        """(place in the log, name of the snapshot that shows exactly what was committed before that place)."""
        kind = " TEMPORARY" if is_temporary else ""
        row = self._command(
            f"CREATE_REPLICATION_SLOT {quoted(slot)}{kind} LOGICAL pgoutput EXPORT_SNAPSHOT", patience=SLOT_PATIENCE
        )
        return row[1], row[2]

    def messages(self, slot: str, publication: str, start: int) -> Iterator[bytes | int]:
        """The log from `start` on, without end: pgoutput messages, and in between a number: the place in the log up to
        which everything was sent."""
        command = (
            f"START_REPLICATION SLOT {quoted(slot)} LOGICAL {lsn_text(start)}"
            f" (proto_version '1', publication_names {literal(quoted(publication)).strip()})"
        )
        self._command(command)
        connection = self._connection
        heard_at = time.monotonic()
        count, has_asked = 0, False
        while True:
            size, data = connection.get_copy_data(1)
            if size > 0:
                if data[0] == _DATA:
                    yield bytes(data[_HEADER:])
                    count += 1
                    if count % LOOK_EVERY:
                        continue
                elif data[0] == _ALIVE:
                    _, end, _, wants_answer = _alive(data)
                    has_asked = False
                    if wants_answer:
                        self._alive()
                    yield end
                heard_at = time.monotonic()
                if heard_at - self._spoke_at > ALIVE_EVERY:
                    self._alive()
            elif size == 0:
                if not has_asked:
                    self._alive(asks_back=True)
                    has_asked = True
                if not select.select([connection.socket], [], [], ALIVE_EVERY)[0]:
                    if time.monotonic() - heard_at > SILENCE:
                        raise TransientError("PostgreSQL fell silent while its log was read.", kind="unreachable")
                    has_asked = False
                    continue
                try:
                    connection.consume_input()
                except psycopg.OperationalError as error:
                    raise explain(error, "its log") from error
            else:
                result = connection.get_result()
                raise self._refusal(result)

    def _alive(self, *, asks_back: bool = False) -> None:
        now = int((datetime.now(UTC) - EPOCH).total_seconds() * 1_000_000)
        try:
            self._connection.put_copy_data(_status(b"r", 0, 0, 0, now, int(asks_back)))
            self._connection.flush()
        except psycopg.OperationalError as error:
            raise explain(error, "its log") from error
        self._spoke_at = time.monotonic()

    def _command(self, sql: str, patience: float = 60.0) -> list[str]:
        """Run one command of the replication protocol; returns the first row."""
        connection = self._connection
        connection.send_query(sql.encode())
        deadline = time.monotonic() + patience
        while connection.is_busy():
            if not select.select([connection.socket], [], [], max(deadline - time.monotonic(), 0.0))[0]:
                connection.get_cancel().cancel()
                raise TransientError(
                    "PostgreSQL could not begin to keep its log for us, because a transaction has been open for too "
                    "long. Whoever runs the database can find it: SELECT pid, xact_start, query FROM pg_stat_activity "
                    "ORDER BY xact_start.",
                    f"no answer within {patience:.0f} s: {sql}",
                    kind="slot",
                )
            try:
                connection.consume_input()
            except psycopg.OperationalError as error:
                raise explain(error, "its log") from error
        result = connection.get_result()
        assert result is not None
        if result.status == pq.ExecStatus.COPY_BOTH:
            return []
        if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
            raise self._refusal(result)
        row = (
            [(result.get_value(0, place) or b"").decode() for place in range(result.nfields)] if result.ntuples else []
        )
        while connection.get_result() is not None:
            pass
        return row

    def _message(self) -> str:
        return self._connection.get_error_message()

    def _refusal(self, result: Any) -> PortalError:
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode() if result is not None else ""
        text = result.get_error_message() if result is not None else self._message()
        if state == "55006":
            return TransientError("Another process is reading the database's log for this source.", text, kind="busy")
        if state == "53400":
            return TerminalError(
                "The database keeps its log for as many readers as it may. Whoever runs it can allow more: ALTER SYSTEM "
                "SET max_replication_slots = …; then restart the server. One spare slot is needed while a new table is "
                "read for the first time.",
                text,
                kind="slot",
            )
        if state == "42501":
            return TerminalError("The user may not read the database's log of changes.", text, kind="forbidden")
        error = psycopg.OperationalError(text)
        error.sqlstate = state or None
        return explain(error, "its log")
