"""The engine protocol: what moves rows from a connector into the warehouse. Dataclasses in and out, no ORM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from portal.failures import PortalError, TerminalError, TransientError
from sources.connectors.base import StreamRequest, StreamSpec
from sources.connectors.log import LogPosition


@dataclass(frozen=True)
class SyncRequest:
    """One sync of one source. `settings` has its secrets resolved; `repr` shows none of it."""

    source: str  # slug
    connector: str
    settings: Mapping[str, Any] = field(repr=False)
    streams: tuple[StreamRequest, ...]
    dataset: str  # "raw_stripe"
    work_dir: Path  # this source's own, kept between syncs (pending packages, state)
    is_whole: bool = True  # all streams that are switched on are asked for


# The `kind` of a failure that is none: a stream whose columns changed waits for a person's word.
HELD = "held"


@dataclass(frozen=True)
class ColumnChange:
    """A column that is not what it was at the last sync. `kind`: a value of `SchemaChange.Kind`.

    `is_held`: nothing of the stream was loaded because of it. Types are the warehouse's words (bigint, text, …).
    """

    kind: str
    column: str
    old_type: str = ""
    new_type: str = ""
    is_held: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.column}:{self.new_type}"

    @property
    def words(self) -> str:
        """ "column “amount” vanished"."""
        types = f"{self.old_type} → {self.new_type}"
        return {
            "added": f"column “{self.column}” was added",
            "vanished": f"column “{self.column}” vanished",
            "widened": f"column “{self.column}” became wider ({types})",
            "changed": f"column “{self.column}” changed its type ({types})",
            "emptied": f"column “{self.column}” is empty in every row",
        }.get(self.kind, f"“{self.column}” is new")

    @property
    def is_mere_news(self) -> bool:
        """No column of the table is touched: worth noting, no reason to hold or to warn."""
        return self.kind == "new_field"


@dataclass
class StreamOutcome:
    """How one stream fared: rows loaded (0 is fine), the cursor kept, the columns now in the warehouse.

    `again`: the key of the wish to read it again that is carried out now. `changes`: columns that are not what they were.
    `table_rows`: how many rows its table has now; None when the engine does not count.
    """

    name: str
    rows: int = 0
    seconds: float = 0.0
    cursor: Any = None
    columns: dict[str, str] = field(default_factory=dict)
    error: PortalError | None = None
    again: str = ""
    changes: list[ColumnChange] = field(default_factory=list)
    table_rows: int | None = None


@dataclass
class SyncOutcome:
    """What a sync did. `has_new_data` is true when anything in the warehouse may have changed."""

    streams: list[StreamOutcome] = field(default_factory=list)
    has_new_data: bool = False
    log: LogPosition | None = None  # of a source whose log is followed

    @property
    def rows(self) -> dict[str, int]:
        return {stream.name: stream.rows for stream in self.streams}


class TransientSyncError(TransientError):
    """Some streams failed in a way that may pass; `outcome` says how each fared and what was committed all the same."""

    outcome: SyncOutcome = SyncOutcome()


class TerminalSyncError(TerminalError):
    """Some streams failed and need a person; `outcome` says how each fared and what was committed all the same."""

    outcome: SyncOutcome = SyncOutcome()


# Told while rows flow: (stream name, rows so far). Called at most about once a second a stream.
Progress = Callable[[str, int], None]


class Engine(Protocol):
    name: str

    def warm_up(self) -> None:
        """Import what a first sync would import; starts no thread, so a worker may call it before it forks."""

    def check(self, connector: str, settings: Mapping[str, Any]) -> str:
        """A sentence of success; raises `TransientError` or `TerminalError`."""

    def discover(self, connector: str, settings: Mapping[str, Any]) -> list[StreamSpec]:
        """The streams on offer."""

    def sync(self, request: SyncRequest, progress: Progress) -> SyncOutcome:
        """Pull the streams and load them. All that was returned as loaded is committed.

        Raises `TransientError` when another attempt may succeed, `TerminalError` when it cannot; when only some
        streams failed it is the `…SyncError` of this module, and the others' rows are committed. What an interrupted
        attempt left behind is finished or discarded first, never doubled.
        """
