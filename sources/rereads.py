"""Reading a stream again: ask for it, carry it out with the next sync, and say beforehand what it will do.

A wish is a row (`Reread`), so it outlives a busy source, a dead worker and a failed run; it is closed only when the
engine says that its rows are committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.runs import Trigger
from sources.connectors import CONNECTORS, get_connector
from sources.connectors.base import SyncMode, cursor_from
from sources.engines import CAN_REREAD
from sources.models import Reread, Source, Stream, SyncRun
from sources.syncs import request_sync

# Any moment will do to learn whether a stream could be read again from one.
_SOME_MOMENT = datetime(2020, 1, 1, tzinfo=UTC)


def can_reset(stream: Stream) -> bool:
    """Whether there is a cursor to forget; a stream that is read completely each time has none."""
    return (
        stream.source.engine in CAN_REREAD
        and stream.sync_mode != SyncMode.FULL_REFRESH
        and stream.cursor_value is not None
    )


def can_backfill(stream: Stream) -> bool:
    if not can_reset(stream) or stream.source.connector not in CONNECTORS:
        return False
    connector = get_connector(stream.source.connector)
    return cursor_from(connector, stream.as_request(), _SOME_MOMENT, stream.cursor_value) is not None


def what_comes_again(stream: Stream) -> str:
    """In words, what a backfill brings: "what was created"."""
    connector = get_connector(stream.source.connector)
    return str(getattr(connector, "reads_back", "")) or "what is newer"


def what_goes(stream: Stream) -> str:
    """In words, what a backfill removes: only of what belongs to an owner, what that owner no longer has."""
    specs = {spec.name: spec for spec in get_connector(stream.source.connector).streams}
    spec = specs.get(stream.name)
    if spec is None or not spec.owner_key:
        return "nothing is deleted"
    owner = " and ".join(spec.owner_key)
    return f"of each {owner} that comes, what it no longer has is removed; nothing else is deleted"


def ask(stream: Stream, since: date | None, user: Any) -> Reread | None:
    """Keep the wish and start a sync for it unless one is active; None when there is an open wish already."""
    try:
        with transaction.atomic():
            wish = Reread.objects.create(stream=stream, since=since, asked_by=user)
    except IntegrityError:  # two people, or one who pressed twice
        return None
    request_sync(stream.source, Trigger.BACKFILL, streams=[stream.name])
    return wish


def withdraw(wish: Reread) -> bool:
    """False when it is carried out already."""
    return bool(Reread.objects.open().filter(pk=wish.pk).update(withdrawn_at=timezone.now()))


def start_waiting(sources: Iterable[Source] | None = None, *, send: bool = True) -> list[SyncRun]:
    """Start a sync for every source with a wish that no run has taken up: those that were busy when it was asked.

    A wish whose run failed for good is left to the next sync, so that trouble is not repeated for ever.
    """
    untried = Reread.objects.untried().filter(stream__is_enabled=True)
    if sources is not None:
        untried = untried.filter(stream__source__in=list(sources))
    names: dict[int, list[str]] = {}
    for source_id, name in untried.order_by("pk").values_list("stream__source", "stream__name"):
        names.setdefault(source_id, []).append(name)
    runs = []
    for source in Source.objects.filter(pk__in=names):
        if run := request_sync(source, Trigger.BACKFILL, streams=names[source.pk], send=send):
            runs.append(run)
    return runs
