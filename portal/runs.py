"""Run records: every piece of long work is a row first, then a message that carries its primary key.

    queued → running → succeeded | failed | cancelled

Moves go through queryset methods that filter on the old status and return how many rows moved (1 or 0), so a message
that is delivered twice does nothing twice. A heartbeat tells lost from slow.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connections, models
from django.db.models import F, Q
from django.utils import timezone

from portal.failures import PortalError

logger = logging.getLogger(__name__)


class RunStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE = (RunStatus.QUEUED, RunStatus.RUNNING)


class Trigger(models.TextChoices):
    SCHEDULED = "scheduled", "On schedule"
    MANUAL = "manual", "By hand"
    RETRY = "retry", "Retry"
    BACKFILL = "backfill", "Backfill"
    UPSTREAM = "upstream", "After the stage before it"


class RunQuerySet(models.QuerySet[Any]):
    """The moves of a run, and the questions asked of runs."""

    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def due(self, now: datetime) -> Self:
        """Queued, and not waiting for a later moment."""
        return self.filter(Q(not_before__isnull=True) | Q(not_before__lte=now), status=RunStatus.QUEUED)

    def lost(self, now: datetime) -> Self:
        """Running by their row, but nobody has given a sign of life for `RUN_LOST_AFTER`."""
        return self.filter(status=RunStatus.RUNNING, heartbeat_at__lt=now - settings.RUN_LOST_AFTER)

    def claim(self, pk: int) -> int:
        """Queued → running for whoever comes first; 1 if that was the caller, else 0."""
        now = timezone.now()
        return (
            self.due(now)
            .filter(pk=pk)
            .update(
                status=RunStatus.RUNNING,
                started_at=now,
                heartbeat_at=now,
                worker=f"{socket.gethostname()}:{os.getpid()}",
                claims=F("claims") + 1,
            )
        )

    def beat(self, pk: int) -> int:
        return self.filter(pk=pk, status=RunStatus.RUNNING).update(heartbeat_at=timezone.now())

    def succeed(self, pk: int, **values: Any) -> int:
        """Running → succeeded. What an earlier attempt failed with stays with that attempt, not with the run."""
        return self.filter(pk=pk, status=RunStatus.RUNNING).update(
            status=RunStatus.SUCCEEDED,
            finished_at=timezone.now(),
            not_before=None,
            failure_kind="",
            failure_sentence="",
            failure_detail="",
            **values,
        )

    def fail(self, pk: int, error: PortalError, **values: Any) -> int:
        return self.filter(pk=pk, status__in=ACTIVE).update(
            status=RunStatus.FAILED,
            finished_at=timezone.now(),
            not_before=None,
            failure_kind=error.kind,
            failure_sentence=error.sentence,
            failure_detail=error.detail,
            **values,
        )

    def put_back(self, pk: int, *, not_before: datetime | None = None, **values: Any) -> int:
        """Running → queued: a lost run, or one that waits for its next attempt."""
        return self.filter(pk=pk, status=RunStatus.RUNNING).update(
            status=RunStatus.QUEUED, not_before=not_before, heartbeat_at=None, **values
        )

    def cancel(self, pk: int) -> int:
        """Give up a run that has not been started; one that is running ends by itself."""
        return self.filter(pk=pk, status=RunStatus.QUEUED).update(
            status=RunStatus.CANCELLED, finished_at=timezone.now(), not_before=None
        )

    def abandon(self, pk: int) -> int:
        """Running → cancelled: its worker vanished, and another run does its work."""
        return self.filter(pk=pk, status=RunStatus.RUNNING).update(
            status=RunStatus.CANCELLED, finished_at=timezone.now(), not_before=None
        )


class Run(models.Model):
    """The columns that every kind of run has."""

    status = models.CharField(max_length=12, choices=RunStatus.choices, default=RunStatus.QUEUED, editable=False)
    trigger = models.CharField(max_length=12, choices=Trigger.choices, default=Trigger.MANUAL, editable=False)
    queued_at = models.DateTimeField(default=timezone.now, editable=False)
    not_before = models.DateTimeField(null=True, blank=True, editable=False, help_text="When the next attempt is due.")
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    worker = models.CharField(max_length=120, blank=True, editable=False)
    claims = models.PositiveIntegerField(default=0, editable=False, help_text="How often a worker has started it.")
    failure_kind = models.CharField(max_length=40, blank=True, editable=False)
    failure_sentence = models.TextField(blank=True, editable=False)
    failure_detail = models.TextField(blank=True, editable=False)

    objects = RunQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["-pk"]

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def duration(self) -> timedelta | None:
        """How long it took, or has been running for; None before it was started."""
        if self.started_at is None:
            return None
        return (self.finished_at or timezone.now()) - self.started_at


@contextmanager
def heartbeat(queryset: RunQuerySet, pk: int) -> Iterator[None]:
    """Give a sign of life for run `pk` each `RUN_HEARTBEAT` until the block ends.

    A thread of its own, started after the fork, so that long work in C code does not look like death.
    """
    stop = threading.Event()

    def beat() -> None:
        try:
            while not stop.wait(settings.RUN_HEARTBEAT.total_seconds()):
                try:
                    close_old_connections()
                    queryset.all().beat(pk)
                except DatabaseError as error:
                    # Busy or away for a moment: the next sign of life may get through, so keep giving them.
                    logger.warning("A sign of life of run %s could not be written: %s", pk, error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=beat, name=f"heartbeat-{pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
