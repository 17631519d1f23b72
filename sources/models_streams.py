"""What happens to a stream beside its syncs: wishes to read it again, and changes of its columns.

The layers above read these rows: an open change of columns is what `quality` makes an incident of.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class RereadQuerySet(models.QuerySet["Reread"]):
    def open(self) -> Self:
        """Not carried out yet, and not withdrawn."""
        return self.filter(done_at__isnull=True, withdrawn_at__isnull=True)

    def untried(self) -> Self:
        """Open, and no run has taken it up so far."""
        return self.open().filter(tried_in__isnull=True)


class Reread(models.Model):
    """A person's wish that a stream is read again: all of it (reset), or everything since a day (backfill).

    Any sync of the stream carries it out; it stays open until the rows are committed, whatever happens in between.
    """

    stream = models.ForeignKey("sources.Stream", on_delete=models.CASCADE, related_name="rereads")
    # None: forget the cursor and read everything.
    since = models.DateField("from", null=True, blank=True)
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    # The run that took it up last.
    tried_in = models.ForeignKey("sources.SyncRun", null=True, on_delete=models.SET_NULL, related_name="+")
    done_at = models.DateTimeField(null=True)
    rows = models.PositiveBigIntegerField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    objects = RereadQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["stream"],
                condition=Q(done_at__isnull=True, withdrawn_at__isnull=True),
                name="one_open_reread_a_stream",
            )
        ]

    def __str__(self) -> str:
        return f"{self.stream}: again {self.from_when}"

    @property
    def from_when(self) -> str:
        """ "from 1 March 2026", "from the beginning"."""
        return day_in_words(self.since) if self.since else "from the beginning"

    @property
    def moment(self) -> datetime | None:
        """The first moment of the day it begins with, in UTC."""
        return datetime(self.since.year, self.since.month, self.since.day, tzinfo=UTC) if self.since else None


def day_in_words(day: object) -> str:
    return f"from {day.day} {day:%B} {day.year}"  # type: ignore[attr-defined]


class SchemaPolicy(models.TextChoices):
    """What happens to a stream whose columns changed at the source."""

    ACCEPT = "accept", "Take it and note it"
    WARN = "warn", "Take it and warn me"
    HOLD = "hold", "Load nothing until I agree"


class SchemaChangeQuerySet(models.QuerySet["SchemaChange"]):
    def undecided(self) -> Self:
        """Those that wait for a person: held, or told as a warning and not seen yet."""
        return self.filter(decision__in=[SchemaChange.Decision.HELD, SchemaChange.Decision.WARNED])

    def unloaded(self) -> Self:
        """Held, or agreed to and not in the warehouse yet."""
        return self.filter(
            loaded_at__isnull=True, decision__in=[SchemaChange.Decision.HELD, SchemaChange.Decision.AGREED]
        )


class SchemaChange(models.Model):
    """One column of one stream is not what it was."""

    class Kind(models.TextChoices):
        ADDED = "added", "Column added"
        VANISHED = "vanished", "Column vanished"
        WIDENED = "widened", "Type widened"
        CHANGED = "changed", "Type changed"
        EMPTIED = "emptied", "Column empty in every row"
        NEW_FIELD = "new_field", "New field"

    class Decision(models.TextChoices):
        TAKEN = "taken", "Taken over"
        WARNED = "warned", "Taken over, not seen yet"
        SEEN = "seen", "Taken over and seen"
        HELD = "held", "Held"
        AGREED = "agreed", "Agreed to"
        WITHDRAWN = "withdrawn", "Changed back by itself"

    stream = models.ForeignKey("sources.Stream", on_delete=models.CASCADE, related_name="schema_changes")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    column = models.CharField(max_length=255)
    old_type = models.CharField(max_length=40, blank=True)
    new_type = models.CharField(max_length=40, blank=True)
    noticed_at = models.DateTimeField(default=timezone.now)
    run = models.ForeignKey("sources.SyncRun", null=True, on_delete=models.SET_NULL, related_name="schema_changes")
    decision = models.CharField(max_length=12, choices=Decision.choices)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    # When rows with it were committed; None while it is held.
    loaded_at = models.DateTimeField(null=True)

    objects = SchemaChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["stream", "-id"], name="change_of_stream"),
            models.Index(fields=["decision"], condition=Q(decision__in=["held", "warned"]), name="change_undecided"),
        ]

    def __str__(self) -> str:
        return f"{self.stream}: {self.sentence}"

    @property
    def key(self) -> str:
        """Names the change in the engine's words; the same change has the same key at every sync."""
        return f"{self.kind}:{self.column}:{self.new_type}"

    @property
    def sentence(self) -> str:
        column = f"“{self.column}”"
        return {
            self.Kind.ADDED: f"Column {column} was added ({self.new_type}).",
            self.Kind.VANISHED: f"Column {column} vanished; it stays in the table and is empty from then on.",
            self.Kind.WIDENED: f"Column {column} became wider: {self.old_type} → {self.new_type}.",
            self.Kind.CHANGED: f"Column {column} changed its type: {self.old_type} → {self.new_type}.",
            self.Kind.EMPTIED: f"Column {column} was filled before and is empty in every row now.",
            self.Kind.NEW_FIELD: f"The system sends a new field {column}; it is kept in “_extra”.",
        }[self.Kind(self.kind)]

    @property
    def is_undecided(self) -> bool:
        return self.decision in (self.Decision.HELD, self.Decision.WARNED)
