"""What the portal asks of a warehouse, whichever it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from portal.failures import TerminalError

# Seconds that a page waits for an answer.
QUERY_TIMEOUT = 30.0


@dataclass(frozen=True)
class QueryResult:
    """Rows for a page: column names and plain Python tuples."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def as_dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Warehouse(Protocol):
    """An adapter each: DuckDB (embedded default), PostgreSQL, BigQuery. Schemas are named as everybody says them
    (`mart_finance`), wherever a warehouse keeps its candidates and versions (`portal.warehouse.names`)."""

    scheme: str

    def writer(self, timeout: float | None = None) -> AbstractContextManager[None]:
        """Hold the right to write, one process at a time; raises `TransientError` after `timeout` seconds.

        Whoever holds it may nest it. The right ends with the process, however that ends.
        """

    def tables(self, *, schema_prefix: str = "") -> set[str]:
        """`schema.table` of everything in the candidate warehouse (what workers write), call it as the writer."""

    def tables_with(self, column: str, *, schema_prefix: str = "") -> set[str]:
        """Those of `tables` that have a column of this name."""

    def publish(
        self, version: str, *, schema_prefix: str = "mart_", kept: Collection[str] = (), kept_from: str = ""
    ) -> str:
        """Make the candidate marts readable as one new version; returns its location. Costs what the marts weigh.

        `kept`: these ("mart_finance.mrr_monthly") are not taken from the candidates but as they are in the version
        `kept_from` (a location); what is not in there is not in the new one.
        The new version is complete and durable when this returns; nothing reads it until its location is recorded.
        """

    def discard_unpublished(self, keep: Iterable[str]) -> list[str]:
        """Remove published versions that are not in `keep` (locations) and nobody reads; returns what went."""

    def columns(self, location: str) -> dict[str, tuple[str, ...]]:
        """What a published version holds: "schema.table" → its columns, in order."""

    def query(
        self,
        location: str,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        limit: int = 10_000,
        timeout: float = QUERY_TIMEOUT,
        before: str | None = None,
    ) -> QueryResult:
        """Read a published version: one SELECT over `mart_….` tables, with `?` for parameters. For pages.

        `before`: the location of another version, whose tables are then called `before_mart_….` beside them.
        At most `limit` rows come, `timeout` seconds are waited. Raises `TerminalError` when it cannot be read.
        """


def cannot_be_found(detail: str) -> TerminalError:
    return TerminalError("The published data cannot be found.", detail, kind="published")


def cannot_be_read(error: Exception) -> TerminalError:
    return TerminalError("The published data could not be read.", str(error), kind="published")


def took_too_long(timeout: float) -> TerminalError:
    return TerminalError(
        "Reading the published data took too long.", f"It was stopped after {timeout:.0f} s.", kind="published"
    )
