"""One stream on its way through a sync, and what becomes of the sync when some of them fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portal.failures import PortalError, TerminalError, TransientError
from sources.connectors.base import StreamRequest, StreamSpec, SyncMode, cursor_from
from sources.engines import files
from sources.engines.base import HELD, ColumnChange, SyncOutcome, TerminalSyncError, TransientSyncError
from sources.engines.columns import ExtraFields


@dataclass
class Reading:
    """One stream on its way through a sync."""

    request: StreamRequest
    spec: StreamSpec
    table: str
    since: Any = None
    spool: Any = None
    cursor: Any = None
    starts_over: bool = False
    is_whole: bool = False
    fingerprint: str = ""
    seconds: float = 0.0
    loaded: int = 0
    table_rows: int | None = None
    error: PortalError | None = None
    key: tuple[str, ...] = field(default=())
    is_followed: bool = False  # its changes come from the source's log
    # The cursor to keep when the connector tells none. Not `since`, which may reach back further (a backfill).
    kept: Any = None
    # Carries out the wish to read it again: counts only as a whole, since half of it would look like all of it.
    reads_again: bool = False
    extra: ExtraFields = field(default_factory=ExtraFields)
    filled: list[str] | None = None
    changes: list[ColumnChange] = field(default_factory=list)
    is_held: bool = False

    def begin_again(self, connector: Any, done: str) -> None:
        """Turn to the wish that came with the request, unless `done` (a wish's key) says that it is carried out."""
        again = self.request.again
        if again is None or again.key == done:
            return
        self.reads_again = True
        if again.moment is None:
            self.request = replace(self.request, remembered=None)
        if again.moment is None or self.since is None:
            self.since = self.kept = None
            return
        back = cursor_from(connector, self.request, again.moment, self.since)
        if back is None:
            self.fail(
                TerminalError(
                    "It cannot be read again from a day on. Withdraw that wish on the stream's page, or reset it there.",
                    kind="backfill",
                )
            )
        else:
            self.since = back

    @property
    def has_read_again(self) -> str:
        """The key of the wish that is carried out once this is committed."""
        again = self.request.again
        return again.key if again is not None and self.error is None else ""

    def hold(self) -> None:
        """Load nothing of it, because its columns changed and nobody has agreed to that yet."""
        pending = [c for c in self.changes if not c.is_mere_news and c.key not in self.request.agreed_changes]
        if not self.request.holds_changes or not pending:
            return
        self.is_held = True
        self.changes = [replace(change, is_held=True) for change in pending]
        if self.error is None:
            self.fail(held(pending))

    @property
    def is_full(self) -> bool:
        """Whether what was read is all there is, so that it may replace the table."""
        return self.is_whole and (
            self.request.sync_mode is SyncMode.FULL_REFRESH or self.since is None or self.starts_over
        )

    def fail(self, error: PortalError) -> None:
        """Keep the failure, with the stream's name in its sentence."""
        self.error = named(error, self.request.name)


def held(pending: Sequence[ColumnChange]) -> TerminalError:
    """Why nothing of a stream is loaded whose columns changed."""
    return TerminalError(
        f"It is held: {', '.join(change.words for change in pending)}. Nothing of it is loaded until somebody agrees to "
        "that on the source's page.",
        kind=HELD,
    )


def raise_failures(errors: Sequence[PortalError], outcome: SyncOutcome) -> None:
    """One failure for all; transient as long as any of them may pass, since the others stay and are told then."""
    if not errors:
        return
    passing = [error for error in errors if error.is_transient]
    # What is only held is the least of several troubles.
    first = (passing or [error for error in errors if error.kind != HELD] or errors)[0]
    sentence = first.sentence
    if len(errors) > 1:
        others = "one other stream" if len(errors) == 2 else f"{len(errors) - 1} other streams"
        sentence += f" ({others} failed too.)"
    detail = "\n\n".join(f"{error.sentence}\n{error.detail}" for error in errors)
    failure: TransientSyncError | TerminalSyncError
    if isinstance(first, TransientError):
        waits = [error.retry_after for error in passing if isinstance(error, TransientError) and error.retry_after]
        failure = TransientSyncError(sentence, detail, kind=first.kind, retry_after=max(waits, default=None))
    else:
        failure = TerminalSyncError(sentence, detail, kind=first.kind)
    failure.outcome = outcome
    raise failure from first


def named(error: PortalError, stream: str) -> PortalError:
    """The same failure with the stream's name in front, unless it says it already."""
    if f"“{stream}”" in error.sentence:
        return error
    named = type(error)(f"Stream “{stream}”: {error.sentence}", error.detail, kind=error.kind)
    copy_wait(error, named)
    named.plain = error  # type: ignore[attr-defined]
    return named


def copy_wait(of: PortalError, to: PortalError | None) -> None:
    if isinstance(of, TransientError) and isinstance(to, TransientError):
        to.retry_after = of.retry_after


def comes_along(part: Reading, reading: Reading) -> bool:
    """Whether the requests for `reading` bring all that is wanted of `part`."""
    return (
        part.spec.comes_with == reading.request.name
        and part.error is None
        and part.request.sync_mode is reading.request.sync_mode
        and part.since == reading.since
    )


def with_along(request: StreamRequest, along: tuple[str, ...]) -> StreamRequest:
    return replace(request, along=along) if along else request


def fingerprint_of(reading: Reading) -> str:
    """What a full refresh brought, in a few characters; "" for what is merged, or brought nothing."""
    if reading.request.sync_mode is not SyncMode.FULL_REFRESH or not reading.spool.rows:
        return ""
    return files.fingerprint([path for path, _ in reading.spool.files])


def filled_columns(reading: Reading) -> list[str]:
    """The declared columns that have a value in any row of a complete read."""
    names = [column.name for column in reading.spool.columns]
    return files.filled([path for path, _ in reading.spool.files], names)
