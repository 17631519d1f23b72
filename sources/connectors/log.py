"""What a connector hands out that follows a database's log of changes, and what an engine gives back.

Such a connector reads all streams of a source in one pass. A stream without a cursor is read whole first (pages, as
anywhere else) and its changes come from the next sync on; of the others come the changes since their cursor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from portal.failures import PortalError
from sources.connectors.base import Page, StreamRequest

# The cursor field of a stream that is followed: so a cursor of another kind is never taken for a place in the log.
BY_LOG = "_log"

# When the row was deleted at the source; empty while it is there. The row stays as it last was.
DELETED_AT = "_deleted_at"
# Columns of `ChangedRows` that say how to complete a row, and that are not stored. KEPT: the columns whose value did
# not come because it did not change (EVERYTHING: all but the key), null when the row is complete. BASE + key column:
# the key of the row, as it was before these changes, that has those values.
KEPT = "_kept"
EVERYTHING = "*"
BASE = "_base_"


@dataclass(frozen=True)
class ChangedRows:
    """Rows of one stream as they are after a number of changes, one a key: an Arrow table of the stream's columns and
    DELETED_AT (soft deletes) or `base.GONE` (hard ones); KEPT and BASE… only when some row needs them."""

    stream: str
    rows: Any


@dataclass(frozen=True)
class Emptied:
    """Every row that the stream had so far was deleted at once."""

    stream: str
    at: datetime


@dataclass(frozen=True)
class Reached:
    """Everything of the stream up to this cursor was handed out. `discards`: what came of it in this read is void."""

    stream: str
    cursor: Any
    discards: bool = False


@dataclass(frozen=True)
class Failed:
    """The stream cannot be read; the others go on."""

    stream: str
    error: PortalError


@dataclass(frozen=True)
class Told:
    """Something that a person should know although the sync goes on. `is_loss`: the log was lost in between."""

    sentence: str
    is_loss: bool = False


News = Page | ChangedRows | Emptied | Reached | Failed | Told


@dataclass
class LogPosition:
    """How far the database keeps its log for us. Bytes; `is_lost`: it no longer keeps what we have not read."""

    slot: str
    publication: str
    confirmed: str = ""
    lag_bytes: int | None = None
    kept_bytes: int | None = None
    is_lost: bool = False
    told: list[Told] = field(default_factory=list)
    as_of: datetime | None = None  # everything committed at the source before this moment is in the warehouse


class FollowsLog(Protocol):
    """A connector that can follow a log; all methods raise `PortalError`."""

    def is_followed(self, settings: Mapping[str, Any]) -> bool:
        """Whether these settings ask for it."""

    def keeps_deleted(self, settings: Mapping[str, Any]) -> bool:
        """Whether deleted rows stay, marked."""

    def follow(
        self, settings: Mapping[str, Any], source: str, streams: Sequence[tuple[StreamRequest, Any]]
    ) -> Iterator[News]:
        """The news of `streams` (request, committed cursor or None), up to the moment of asking."""

    def committed(self, settings: Mapping[str, Any], source: str, cursors: Sequence[Any]) -> LogPosition:
        """These cursors are committed in the warehouse: the database need not keep what all of them are past."""

    def position(self, settings: Mapping[str, Any], source: str) -> LogPosition:
        """Where the log stands, without moving it."""

    def let_go(self, settings: Mapping[str, Any], source: str) -> str:
        """Have the database keep nothing for us any more; returns a sentence. Harmless when there is nothing."""
