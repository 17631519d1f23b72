"""One stream on its way through a sync, and what becomes of the sync when some of them fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from portal.failures import PortalError, TransientError
from sources.connectors.base import StreamRequest, StreamSpec, SyncMode
from sources.engines import files
from sources.engines.base import SyncOutcome, TerminalSyncError, TransientSyncError


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
    error: PortalError | None = None
    key: tuple[str, ...] = field(default=())

    @property
    def is_full(self) -> bool:
        """Whether what was read is all there is, so that it may replace the table."""
        return self.is_whole and (
            self.request.sync_mode is SyncMode.FULL_REFRESH or self.since is None or self.starts_over
        )

    def fail(self, error: PortalError) -> None:
        """Keep the failure, with the stream's name in its sentence."""
        self.error = named(error, self.request.name)


def raise_failures(errors: Sequence[PortalError], outcome: SyncOutcome) -> None:
    """One failure for all; transient as long as any of them may pass, since the others stay and are told then."""
    if not errors:
        return
    passing = [error for error in errors if error.is_transient]
    first = (passing or errors)[0]
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
