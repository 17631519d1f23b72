"""Syncs: ask for one, carry one out, write down how it went.

request_sync()  a row (queued) and a message; None when one is active already
perform()       one attempt of a claimed run; every attempt is a row, and asks only for what is still missing
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from portal import dispatch
from portal.failures import PortalError, TerminalError, TransientError, as_portal_error
from portal.redact import secrets_hidden
from portal.runs import Trigger, heartbeat
from sources import logs, schedules, schema_changes
from sources.engines import get_engine
from sources.engines.base import StreamOutcome, SyncOutcome, SyncRequest, TerminalSyncError, TransientSyncError
from sources.models import Attempt, Reread, Source, Stream, StreamSync, SyncRun
from sources.secrets import hidden_values

logger = logging.getLogger(__name__)


def request_sync(
    source: Source,
    trigger: Trigger = Trigger.MANUAL,
    *,
    streams: list[str] | None = None,
    scheduled_for: datetime | None = None,
    accept_fewer: bool = False,
    send: bool = True,
) -> SyncRun | None:
    """Queue a sync of `source`; None when it has an active run already (that one will bring the news)."""
    try:
        with transaction.atomic():
            run = SyncRun.objects.create(
                source=source,
                trigger=trigger,
                streams=streams or [],
                scheduled_for=scheduled_for,
                accept_fewer=accept_fewer,
            )
    except IntegrityError:  # one is active, or this tick of the schedule was answered already
        return None
    if send:
        dispatch.send("run_sync", run.pk)
    return run


def perform(run: SyncRun) -> SyncOutcome | None:
    """Make one attempt of `run`, which the caller has claimed, and write down how it went.

    Returns the outcome on success. On failure returns None: the run is then either queued again with `not_before`
    (the failure may pass, and there are retries left) or failed for good; the caller sends the next message.
    """
    attempt = _begin(run)
    began = time.monotonic()
    logger.info("Sync of %s starts (run %s, attempt %s).", run.source.slug, run.pk, attempt.number)
    with secrets_hidden(run.source.secrets.values()):
        try:
            outcome = _read(run, attempt)
        except Exception as error:  # whatever it was, it must reach the row
            _failed(run, attempt, as_portal_error(error))
            return None
    _succeeded(run, attempt, outcome)
    logger.info(
        "Sync of %s done in %.1f s: %s rows.", run.source.slug, time.monotonic() - began, sum(outcome.rows.values())
    )
    return outcome


def _read(run: SyncRun, attempt: Attempt) -> SyncOutcome:
    """Read what this attempt asks for; nothing when the streams that failed before were switched off since."""
    if not attempt.streams and _brought(run):
        return SyncOutcome()
    if not attempt.streams:
        raise TerminalError(
            "There is nothing to read: no stream of this source is ticked.",
            f"Asked for: {', '.join(run.streams) or 'all'}.",
            kind="no_streams",
        )
    request = run.source.sync_request(attempt.streams, accept_fewer=run.accept_fewer)
    wishes = [stream.again.key for stream in request.streams if stream.again]
    Reread.objects.filter(pk__in=wishes).update(tried_in=run)
    return _ask_engine(run, request, _Progress(attempt))


def _brought(run: SyncRun) -> set[str]:
    """The streams that an earlier attempt of this run has brought already: a retry leaves them alone."""
    good = StreamSync.objects.filter(attempt__run=run, is_ok=True)
    return set(good.values_list("stream__name", flat=True))


def outstanding(run: SyncRun) -> list[str]:
    """What is still to be read for this run, by name: all that was asked for, less what its attempts have brought."""
    streams = run.source.streams.enabled()
    if run.streams:
        streams = streams.filter(name__in=run.streams)
    brought = _brought(run)
    return [name for name in streams.values_list("name", flat=True) if name not in brought]


def rows_brought(attempts: Sequence[Attempt]) -> dict[str, int]:
    """Stream → rows of all attempts of one run: each brings what those before it did not.

    What a vanished worker counted was read again by the next, so it counts only while it is the last.
    """
    rows: dict[str, int] = {}
    for attempt in attempts:
        if attempt.status != Attempt.Status.LOST or attempt is attempts[-1]:
            for name, count in attempt.rows.items():
                rows[name] = rows.get(name, 0) + count
    return rows


def _ask_engine(run: SyncRun, request: SyncRequest, progress: _Progress) -> SyncOutcome:
    # A failure gets its text in here, where also the values from the environment are known and hidden.
    with (
        secrets_hidden(hidden_values(run.source.config, run.source.secrets, request.settings)),
        heartbeat(SyncRun.objects.all(), run.pk),
    ):
        try:
            return get_engine(run.source.engine).sync(request, progress)
        except Exception as error:
            raise as_portal_error(error) from None


class _Progress:
    """Keeps the attempt's row counts current while rows flow, at most once a second."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.rows: dict[str, int] = {}
        self.saved_at = time.monotonic()

    def __call__(self, stream: str, rows: int) -> None:
        self.rows[stream] = rows
        if time.monotonic() - self.saved_at >= 1:
            self.saved_at = time.monotonic()
            Attempt.objects.filter(pk=self.attempt.pk).update(rows=self.rows)


def _begin(run: SyncRun) -> Attempt:
    with transaction.atomic():
        # An attempt that still says "running" belonged to a worker that vanished: only one may claim a run.
        mark_lost(run)
        number = run.attempts.count() + 1
        return Attempt.objects.create(run=run, number=number, started_at=timezone.now(), streams=outstanding(run))


def _succeeded(run: SyncRun, attempt: Attempt, outcome: SyncOutcome) -> None:
    now = timezone.now()
    # A worker that vanished may have committed rows that no row of ours tells of: better one build too many.
    is_new = outcome.has_new_data or run.awaits_build or has_lost_attempts(run)
    with transaction.atomic():
        _write_streams(run, attempt, outcome, now)
        logs.note(run.source, outcome.log)
        Attempt.objects.filter(pk=attempt.pk).update(
            status=Attempt.Status.SUCCEEDED, finished_at=now, rows=outcome.rows
        )
        # What an earlier attempt brought is news of this run, also when a build has taken it further meanwhile.
        SyncRun.objects.succeed(run.pk, has_new_data=is_new or run.has_new_data, awaits_build=is_new)


def mark_lost(run: SyncRun) -> None:
    """Say of the attempt that is still "running" that its worker vanished."""
    run.attempts.filter(status=Attempt.Status.RUNNING).update(
        status=Attempt.Status.LOST,
        finished_at=timezone.now(),
        is_transient=True,
        failure_kind="lost",
        failure_sentence="The worker that made this attempt vanished before it was done.",
    )


def has_lost_attempts(run: SyncRun) -> bool:
    """Whether a worker vanished on this source since its last attempt that was good."""
    attempts = Attempt.objects.filter(run__source=run.source_id, run__lte=run.pk)
    good = attempts.filter(status=Attempt.Status.SUCCEEDED, run__lt=run.pk).order_by("-pk").values("pk")[:1]
    return attempts.filter(status=Attempt.Status.LOST, pk__gt=Coalesce(good, 0)).exists()


def _write_streams(run: SyncRun, attempt: Attempt, outcome: SyncOutcome, now: datetime) -> None:
    streams = {stream.name: stream for stream in run.source.streams.all()}
    results, changed = [], []
    for result in outcome.streams:
        stream = streams.get(result.name)
        if stream is None:
            continue
        results.append(
            StreamSync(
                attempt=attempt,
                stream=stream,
                is_ok=result.error is None,
                rows=result.rows,
                seconds=result.seconds,
                finished_at=now,
                failure_sentence=result.error.sentence if result.error else "",
            )
        )
        if _take_over(stream, result, now):
            changed.append(stream)
        if result.again:
            Reread.objects.open().filter(pk=int(result.again)).update(done_at=now, rows=result.rows)
        if result.error is None or result.changes:
            schema_changes.write_down(run, stream, result.changes, now, is_loaded=result.error is None)
    StreamSync.objects.bulk_create(results)
    Stream.objects.bulk_update(changed, ["cursor_value", "columns", "cursor_moved_at", "table_rows"])


def _take_over(stream: Stream, result: StreamOutcome, now: datetime) -> bool:
    """Note on the stream how it is now; False when nothing changed, or nothing is known because it failed."""
    before = (stream.cursor_value, stream.columns, stream.table_rows)
    if result.error is None or result.cursor is not None:
        if result.cursor != stream.cursor_value:
            stream.cursor_moved_at = now
        stream.cursor_value = result.cursor
        stream.columns = result.columns or stream.columns
    if result.table_rows is not None:
        stream.table_rows = result.table_rows
    return (stream.cursor_value, stream.columns, stream.table_rows) != before


def _failed(run: SyncRun, attempt: Attempt, error: PortalError) -> None:
    now = timezone.now()
    delay = _next_delay(attempt.number, error)
    # What other streams brought is committed, and a build must take it further even if this run never succeeds.
    committed = error.outcome if isinstance(error, TransientSyncError | TerminalSyncError) else None
    is_new = committed is not None and committed.has_new_data
    news = {"has_new_data": True, "awaits_build": True} if is_new else {}
    with transaction.atomic():
        Attempt.objects.filter(pk=attempt.pk).update(
            status=Attempt.Status.FAILED,
            finished_at=now,
            rows=committed.rows if committed else {},
            is_transient=error.is_transient,
            failure_kind=error.kind,
            failure_sentence=error.sentence,
            failure_detail=error.detail,
        )
        _write_streams(run, attempt, committed or _all_failed(attempt, error), now)
        logs.note(run.source, committed.log if committed else None)
        if delay is None:
            SyncRun.objects.fail(run.pk, error, **news)
        else:
            SyncRun.objects.put_back(
                run.pk,
                not_before=now + delay,
                failure_kind=error.kind,
                failure_sentence=error.sentence,
                failure_detail=error.detail,
                **news,
            )
    logger.warning(
        "Sync of %s failed (run %s, attempt %s): %s%s",
        run.source.slug,
        run.pk,
        attempt.number,
        error.sentence,
        "" if delay is None else f" Next attempt in {delay.total_seconds():.0f} s.",
    )


def _all_failed(attempt: Attempt, error: PortalError) -> SyncOutcome:
    """The outcome of an attempt that failed as a whole: every stream that it asked for."""
    return SyncOutcome([StreamOutcome(name, error=error) for name in attempt.streams])


def _next_delay(attempt_number: int, error: PortalError) -> timedelta | None:
    """How long to wait before the next attempt; None when there is none."""
    if not error.is_transient or attempt_number > len(settings.RETRY_DELAYS):
        return None
    delay = settings.RETRY_DELAYS[attempt_number - 1]
    if isinstance(error, TransientError) and error.retry_after is not None:
        delay = max(delay, timedelta(seconds=error.retry_after))
    return delay


def start_if_due(source: Source, now: datetime, *, send: bool = True) -> SyncRun | None:
    """Start the sync that the schedule wanted at or before `now`, if nothing has answered that tick yet.

    The scheduler and the sweep both come here; one run a tick is a constraint of the database. Ticks before the
    schedule was last changed are nobody's fault. A run that was queued after the tick, by whomever, answers it.
    """
    due = schedules.last_due(source.schedule, source.timezone, now)
    if due is None or (source.schedule_changed_at and due < source.schedule_changed_at):
        return None
    if source.runs.filter(queued_at__gte=due).exists():
        return None
    return request_sync(source, Trigger.SCHEDULED, scheduled_for=due, send=send)
