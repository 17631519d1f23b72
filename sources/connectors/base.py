"""What a connector is: one module that says which fields it needs, which streams it has, and how to read them.

A connector knows its system's API and nothing of engines, databases or pages; importing one is cheap, so forms may.
It hands out pages of flat, typed rows; the engine loads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable


class SyncMode(StrEnum):
    FULL_REFRESH = "full_refresh"  # read everything, replace the table in one step
    INCREMENTAL = "incremental"  # read what is new or changed since the cursor, merge on the primary key


class FieldKind(StrEnum):
    TEXT = "text"
    SECRET = "secret"  # noqa: S105 (a kind, no password): stored encrypted, shown only as "set"
    SECRET_TEXT = "secret_text"  # noqa: S105 (a kind too): a secret of several lines, such as a JSON key
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    URL = "url"
    LIST = "list"  # one value a line in the form, a list of strings in the settings


@dataclass(frozen=True)
class FormField:
    """One setting of a source, as a person fills it in."""

    name: str
    label: str
    help: str
    kind: FieldKind = FieldKind.TEXT
    required: bool = True
    default: Any = None
    placeholder: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    is_advanced: bool = False
    # (name of a choice, its values for which this field counts): for others it is hidden, not needed and not kept.
    only_for: tuple[str, tuple[str, ...]] | None = None

    def applies(self, settings: Mapping[str, Any]) -> bool:
        return self.only_for is None or settings.get(self.only_for[0]) in self.only_for[1]

    @property
    def is_secret(self) -> bool:
        return self.kind in {FieldKind.SECRET, FieldKind.SECRET_TEXT}


@dataclass(frozen=True)
class RateLimit:
    """What a system allows: so many calls in so many seconds. `what`: in words, which calls it counts."""

    calls: int
    seconds: float
    what: str = "requests"

    @property
    def in_words(self) -> str:
        """“60 a minute: read requests of one account”."""
        units = {1: "a second", 60: "a minute", 3_600: "an hour", 86_400: "a day"}
        return f"{self.calls:,} {units.get(int(self.seconds), f'in {self.seconds:g} seconds')}: {self.what}"


@dataclass(frozen=True)
class Column:
    """One column of a stream: its name and type in the warehouse, and where its value is in the API's object.

    `type`: text, bigint, double, bool, timestamp (UTC), date, json, decimal. `path`: dotted, "" means `name`; numbers
    index lists; alternatives are parted by "|", the first that is there counts (`discount.coupon.id|discounts.0.id`).
    """

    name: str
    type: str = "text"
    path: str = ""


@dataclass(frozen=True)
class Suggestion:
    """A value that would fit one of the fields a person fills in for a stream, and why."""

    field: str
    value: str
    reason: str


@dataclass(frozen=True)
class Sample:
    """What was seen of a stream when it was looked at: its first rows, as short texts in the order of `columns`.

    `error`: why it cannot be read as it is set up. `notes`: what was noticed, in sentences.
    """

    rows: tuple[tuple[str, ...], ...] = ()
    columns: tuple[Column, ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()


@dataclass(frozen=True)
class StreamSpec:
    """What a source offers under one name. The first cursor and the first mode are the suggested ones."""

    name: str
    label: str = ""
    description: str = ""
    primary_key: tuple[str, ...] = ()
    cursor_fields: tuple[str, ...] = ()
    sync_modes: tuple[SyncMode, ...] = (SyncMode.INCREMENTAL, SyncMode.FULL_REFRESH)
    columns: tuple[Column, ...] = ()
    permission: str = ""  # in words, what the token must be allowed to read
    # The stream whose requests bring this one's rows too: invoice lines come with their invoices.
    comes_with: str = ""
    # Rows of the same owner arrive together, and one that did not come again is gone: the lines of one invoice.
    owner_key: tuple[str, ...] = ()
    # The column of the moment (or day) a row came from, where the cursor is none: warehouses lay a growing table out by it.
    grows_by: str = ""
    # What a person may choose instead of `primary_key`.
    other_keys: tuple[tuple[str, ...], ...] = ()
    # Changes come from the system's log (`sources.connectors.log`), and no column needs to tell them.
    is_followed: bool = False
    # Its columns were learned by looking at rows: they are kept with the stream and given to every read.
    is_learned: bool = False
    sample: Sample | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Again:
    """A wish that a stream is read again: since `moment` (merged), or from the beginning (None; replaces the table).

    `key` names the wish: it is kept with the rows, so that it is carried out once whoever dies in between.
    """

    key: str
    moment: datetime | None = None


@dataclass(frozen=True)
class StreamRequest:
    """What to read of one stream in this sync.

    `along`: streams whose rows the same requests bring, to be handed out as pages of their own (`Page.stream`).
    `accept_fewer`: a person has said that far fewer rows than last time are right.
    `remembered`: the cursor that was kept with the rows that are there, also when everything is read again: for what a
    connector has to know of the last time, such as the types it gave to columns.
    `again`, `holds_changes`, `agreed_changes` (keys of changed columns) are for the engine; connectors need not look.
    `columns`: those of a stream whose columns are learned (`StreamSpec.is_learned`), as they were kept.
    """

    name: str
    sync_mode: SyncMode = SyncMode.INCREMENTAL
    cursor_field: str = ""
    primary_key: tuple[str, ...] = ()
    along: tuple[str, ...] = ()
    accept_fewer: bool = False
    remembered: Any = None
    again: Again | None = None
    holds_changes: bool = False
    agreed_changes: frozenset[str] = frozenset()
    columns: tuple[Column, ...] = ()


# In a row of a stream with an `owner_key`: this owner has no rows left. Such a row only removes, it is never stored.
GONE = "_gone"


@dataclass
class Page:
    """Some rows of one stream: a list of flat dicts, or a pyarrow Table / RecordBatch.

    `cursor`: how far everything handed out so far reaches (JSON value); the engine keeps the last one, and only once
    the rows are committed, also when the read breaks off later. None leaves the kept one as it is.
    It counts for the stream that was asked for and those `along`.
    `stream`: whose rows these are, "" for the stream that was asked for. An Arrow column of JSON text says so in its
    field's metadata: `{"type": "json"}`. A cursor that is a dict may hold "notes", sentences for people about what was
    odd in good rows; the source's page shows them.
    `starts_over`: this read begins at the beginning although there was a cursor (it had become too old to go on from):
    what the warehouse has is replaced when the read is complete.
    """

    rows: Any
    cursor: Any = None
    stream: str = ""
    starts_over: bool = False


class Connector(Protocol):
    """Implemented by one class a module in `sources/connectors/`; found through the registry."""

    name: str  # "stripe"
    label: str  # "Stripe"
    summary: str  # one sentence for the picker
    fields: tuple[FormField, ...]
    permissions: tuple[str, ...]  # in words: what the token must be allowed to do
    setup_help: str  # where to get the token, in a few sentences
    rate_limits: tuple[RateLimit, ...]  # what the system allows; reading keeps below it by itself
    streams: tuple[StreamSpec, ...]  # the fixed set; empty when it depends on the account (`discover`)

    def check(self, settings: Mapping[str, Any]) -> str:
        """Reach the system with these settings; return a sentence of success ("Connected to …"), raise PortalError."""

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        """The streams that this account offers. Systems with a fixed set answer without a request."""

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        """Pages of `stream`; `since` is the cursor kept by the last committed sync, None to read everything."""


@runtime_checkable
class ReachesBack(Protocol):
    """Optional for a connector: it can read again what is newer than a moment (a backfill).

    One that cannot say where to begin leaves this out, and people are offered to read everything again instead.
    """

    reads_back: str  # what comes again, in words: "what was created" (since then)

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        """The kept cursor `since`, changed so that `read` brings everything from `moment` (UTC) up to now.

        That one read must bring also what is newer than `since`, and end with an ordinary cursor. None: this stream
        cannot. Asked by pages too, so it answers without a request.
        """


def cursor_from(connector: Any, stream: StreamRequest, moment: datetime, since: Any) -> Any:
    """`ReachesBack.cursor_from`, or None when the connector or the stream cannot."""
    if since is None or stream.sync_mode is not SyncMode.INCREMENTAL or not isinstance(connector, ReachesBack):
        return None
    return connector.cursor_from(stream, moment, since)
