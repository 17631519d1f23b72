"""The logs that are followed: how far they are read, and letting go of one. Workers do it; pages read the rows.

note()        what a sync saw, onto the source's row
look()        the sweep's: ask for a look at each log that no sync has looked at lately, let go of what nobody follows
let_go()      a row that has a worker drop a source's slot and publication, also when the source is gone
perform()     carried out by a worker that has claimed the row
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from django.db import transaction
from django.utils import timezone

from portal import dispatch
from portal.failures import PortalError, as_portal_error
from portal.redact import secrets_hidden
from portal.runs import heartbeat
from sources.connectors import CONNECTORS, get_connector
from sources.connectors.log import FollowsLog, LogPosition
from sources.models import LogTask, LogWatch, Source
from sources.secrets import hidden_values, resolved

# How often a log is read and how fresh its data is promised to be, unless somebody says otherwise.
SCHEDULE, PROMISED_MINUTES = "*/5 * * * *", 15
LOOK_EVERY = timedelta(minutes=15)
# Between tries to let go of a slot: it is worth being patient, since a slot that stays fills somebody's disk.
TRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
MOST_TRIES = 40
KEPT_FOR = timedelta(days=7)


def is_followed(connector: str, config: Mapping[str, Any]) -> bool:
    """Whether these settings have a log followed."""
    found = _follower(connector)
    return found is not None and found.is_followed(config)


def _follower(connector: str) -> FollowsLog | None:
    found = get_connector(connector) if connector in CONNECTORS else None
    return cast(FollowsLog, found) if hasattr(found, "is_followed") else None


# --- what was seen ------------------------------------------------------------------------------------------------------
def note(source: Source, seen: LogPosition | None) -> None:
    """Write down what a sync saw of the log; None when it saw nothing."""
    if seen is None:
        return
    values: dict[str, Any] = {
        "told": [told.sentence for told in seen.told],
        "has_lost_changes": any(told.is_loss for told in seen.told),
    }
    if seen.slot:
        values |= _numbers(seen)
    elif not LogWatch.objects.filter(source=source).exists():
        return
    LogWatch.objects.update_or_create(source=source, defaults=values)


def _numbers(seen: LogPosition) -> dict[str, Any]:
    now = timezone.now()
    read_up_to = seen.as_of or (now if seen.lag_bytes == 0 else None)
    return {
        "slot": seen.slot,
        "publication": seen.publication,
        "confirmed": seen.confirmed,
        "lag_bytes": seen.lag_bytes,
        "kept_bytes": seen.kept_bytes,
        "is_lost": seen.is_lost,
        "measured_at": now,
        "problem": "",
        **({"read_up_to": read_up_to} if read_up_to else {}),
    }


# --- tasks --------------------------------------------------------------------------------------------------------------
def let_go(source: Source) -> LogTask | None:
    """Have a worker drop the slot of `source`, as it is saved now; None when it never had one."""
    watch = LogWatch.objects.filter(source=source).first()
    if watch is None and not is_followed(source.connector, source.config):
        return None
    # Settings that no longer ask for the log still say where the database is.
    names = {"slot": watch.slot, "publication": watch.publication} if watch else {}
    task = _ask(LogTask.Kind.LET_GO, source, {**source.config, **names}, slot=watch.slot if watch else "")
    LogWatch.objects.filter(source=source).delete()
    return task


def look(now: datetime) -> None:
    """The sweep's part: at most one open task a source."""
    LogTask.objects.filter(finished_at__lt=now - KEPT_FOR).delete()
    open_ones = set(LogTask.objects.active().values_list("source_id", flat=True))
    watched = {watch.source_id: watch for watch in LogWatch.objects.all()}
    followable = [name for name in CONNECTORS if _follower(name) is not None]
    for source in Source.objects.filter(connector__in=followable):
        watch = watched.get(source.pk)
        if source.pk in open_ones or watch is None:
            continue  # without a row there has been no slot yet
        if not is_followed(source.connector, source.config):
            let_go(source)
        elif watch.measured_at < now - LOOK_EVERY and not source.runs.active().exists():
            _ask(LogTask.Kind.MEASURE, source, source.config, slot=watch.slot)


def _ask(kind: str, source: Source, config: Mapping[str, Any], *, slot: str) -> LogTask:
    task = LogTask.objects.create(
        kind=kind,
        source=source,
        slug=source.slug,
        name=source.name,
        connector=source.connector,
        config=dict(config),
        secrets=dict(source.secrets),
        slot=slot,
    )
    dispatch.send("run_log_task", task.pk)
    return task


def perform(task: LogTask) -> PortalError | None:
    """Carry out a claimed task; returns why it failed, if it did. Its secrets go when nobody tries any more."""
    with secrets_hidden(task.secrets.values()), heartbeat(LogTask.objects.all(), task.pk):
        try:
            found = _follower(task.connector)
            assert found is not None
            settings = resolved(task.config, task.secrets, get_connector(task.connector).fields)
            with secrets_hidden(hidden_values(task.config, task.secrets, settings)):
                if task.kind == LogTask.Kind.LET_GO and _is_followed_again(task):
                    sentence = "The log is followed again, so that nothing was dropped."
                elif task.kind == LogTask.Kind.LET_GO:
                    sentence = found.let_go(settings, task.slug)
                else:
                    sentence = _measured(task, found.position(settings, task.slug))
        except Exception as error:
            return _failed(task, as_portal_error(error))
    LogTask.objects.succeed(task.pk, sentence=sentence, secrets={})
    return None


def _is_followed_again(task: LogTask) -> bool:
    """Somebody changed their mind before a worker came: the slot serves the same source again."""
    source = Source.objects.defer("secrets").filter(slug=task.slug).first()
    return source is not None and is_followed(source.connector, source.config)


def _measured(task: LogTask, seen: LogPosition) -> str:
    if task.source is not None:
        with transaction.atomic():
            LogWatch.objects.filter(source=task.source).update(**_numbers(seen))
    return "The log was looked at."


def _failed(task: LogTask, error: PortalError) -> PortalError:
    if task.kind == LogTask.Kind.MEASURE:
        LogWatch.objects.filter(source=task.source).update(problem=error.sentence, measured_at=timezone.now())
        LogTask.objects.fail(task.pk, error, secrets={})
    elif error.is_transient and task.claims < MOST_TRIES:
        delay = TRIES[min(task.claims, len(TRIES)) - 1]
        LogTask.objects.put_back(
            task.pk,
            not_before=timezone.now() + delay,
            failure_kind=error.kind,
            failure_sentence=error.sentence,
            failure_detail=error.detail,
        )
    else:
        LogTask.objects.fail(task.pk, error, secrets={})
    return error
