"""Columns that are not what they were: write down what an engine noticed, and what a person decided."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone

from sources.engines.base import ColumnChange
from sources.models import SchemaChange, SchemaPolicy, Stream, SyncRun

Decision = SchemaChange.Decision


def write_down(
    run: SyncRun, stream: Stream, noticed: Iterable[ColumnChange], now: datetime, *, is_loaded: bool
) -> None:
    """Keep what one sync of one stream noticed. The same change, noticed again while it is held, is one row."""
    known = {change.key: change for change in SchemaChange.objects.unloaded().filter(stream=stream)}
    new = []
    for change in noticed:
        row = known.pop(change.key, None)
        if row is None:
            new.append(_row(run, stream, change, now))
        elif not change.is_held:
            # Somebody agreed, or the stream's policy did.
            decision = Decision.AGREED if row.decision == Decision.AGREED else Decision.TAKEN
            SchemaChange.objects.filter(pk=row.pk).update(decision=decision, loaded_at=now)
    SchemaChange.objects.bulk_create(new)
    if is_loaded or new:
        # What was waited for and is not noticed any more has changed back.
        gone = SchemaChange.objects.filter(pk__in=[row.pk for row in known.values()])
        gone.update(decision=Decision.WITHDRAWN, decided_at=now)


def _row(run: SyncRun, stream: Stream, change: ColumnChange, now: datetime) -> SchemaChange:
    if change.is_held:
        decision = Decision.HELD
    elif stream.schema_policy == SchemaPolicy.ACCEPT or change.is_mere_news:
        decision = Decision.TAKEN
    else:
        decision = Decision.WARNED
    return SchemaChange(
        stream=stream,
        run=run,
        kind=change.kind,
        column=change.column[:255],
        old_type=change.old_type[:40],
        new_type=change.new_type[:40],
        noticed_at=now,
        decision=decision,
        loaded_at=None if change.is_held else now,
    )


def agree(stream: Stream, user: Any) -> list[SchemaChange]:
    """A person agrees to what is held and has seen what was warned of; returns what that was about."""
    now = timezone.now()
    decided = []
    for change in SchemaChange.objects.undecided().filter(stream=stream).order_by("pk"):
        decision = Decision.AGREED if change.decision == Decision.HELD else Decision.SEEN
        moved = SchemaChange.objects.filter(pk=change.pk, decision=change.decision).update(
            decision=decision, decided_at=now, decided_by=user
        )
        if moved:
            change.decision = decision
            decided.append(change)
    return decided
