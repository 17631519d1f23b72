"""The state of the whole portal at one moment, in a constant number of queries: what the status page shows.

look(now)           everything the page needs, gathered
overview.verdict    the one sentence somebody with thirty seconds reads
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db.models import CharField, Count, Exists, F, Min, OuterRef, Q, Subquery, Value, Window
from django.db.models.functions import Coalesce

from metrics.models import Build
from portal import restatements
from portal.models import Beacon, Publication, Restatement
from portal.text import listed
from quality.freshness import FAILING, LATE, WORST_FIRST, StreamFreshness, stream_freshness, worst
from quality.models import Incident, Notification, Scan
from sources import schedules
from sources.models import Source, Stream, SyncRun

ATTENTION = (FAILING, LATE)
_STAGES: dict[str, Any] = {"build": Build, "scan": Scan, "publish": Publication}
# A part that has not been heard of for this long is said to be silent.
SILENT_AFTER = timedelta(minutes=3)
# New rows that wait longer than this to be published are worth a word.
WAITING_AFTER = timedelta(minutes=30)
INCIDENTS_SHOWN = 6
NAMES_LOOKED_UP = 200
PARTS = {"beat": "The scheduler", "worker": "The workers"}


@dataclass(frozen=True)
class StreamRow:
    stream: Stream
    freshness: StreamFreshness

    @property
    def columns_key(self) -> str:
        """Names its list of columns among what the reader may unfold."""
        return f"columns-{self.stream.pk}"


@dataclass
class SourceRow:
    """One source with the state of its worst stream."""

    source: Source
    state: str
    counts: Counter[str]
    last_ok_at: datetime | None
    rows: int | None  # of each stream's last good sync, added up; None when there was none
    next_at: datetime | None
    active_run: SyncRun | None
    attention: list[str]  # names of the streams that fail or are late
    sentence: str  # why, in the words of the first stream that fails
    streams: list[StreamRow] | None = None  # only when the source is opened

    @property
    def stream_count(self) -> int:
        return self.counts.total()

    @property
    def attention_words(self) -> str:
        """ "2 failing: charges and refunds" """
        return f"{sum(self.counts[state] for state in ATTENTION)} {self.state}: {listed(self.attention, most=3)}"


@dataclass(frozen=True)
class PublicationState:
    """What people see (`current`), and since when and why something newer is not (`held`)."""

    current: Publication | None = None
    held: Publication | None = None  # the latest refusal, when it is newer than `current`
    held_since: datetime | None = None


@dataclass(frozen=True)
class Signals:
    """What goes on behind the pages."""

    working: dict[str, tuple[int, datetime]] = field(default_factory=dict)  # stage → (pk of its row, queued at)
    waiting_since: datetime | None = None  # rows that no build has taken in yet
    undelivered: int = 0
    seen_at: dict[str, datetime] = field(default_factory=dict)  # part → last sign of life


@dataclass
class Overview:
    now: datetime
    sources: list[SourceRow]
    publication: PublicationState
    incidents: Sequence[Incident]
    incident_count: int
    signals: Signals
    restated: Sequence[Restatement] = ()  # by the latest publication of the last days that restated months

    @property
    def state_counts(self) -> Counter[str]:
        return sum((row.counts for row in self.sources), Counter())

    @property
    def state_totals(self) -> list[tuple[str, int]]:
        """(state, how many sources), the worst first."""
        totals = Counter(row.state for row in self.sources)
        return [(state.replace("_", " "), totals[state]) for state in WORST_FIRST if totals[state]]

    @property
    def silent(self) -> list[tuple[str, datetime | None]]:
        """(part, last seen) of what should give a sign of life and does not."""
        return [
            (name, self.signals.seen_at.get(key))
            for key, name in PARTS.items()
            if self.signals.seen_at.get(key, datetime.min.replace(tzinfo=self.now.tzinfo)) < self.now - SILENT_AFTER
        ]


def look(now: datetime, opened: Collection[str] = ()) -> Overview:
    """Gather everything; `opened` are the slugs of sources whose streams are wanted too."""
    incidents = list(
        Incident.objects.open()
        .annotate(total=Window(Count("pk")))
        .defer("detail")
        .order_by(F("acknowledged_at").asc(nulls_first=True), "-opened_at")[:INCIDENTS_SHOWN]
    )
    return Overview(
        now=now,
        sources=source_rows(now, opened),
        publication=publication_state(),
        incidents=incidents,
        incident_count=incidents[0].total if incidents else 0,
        signals=signals(),
        restated=restatements.recent(now),
    )


# --- sources --------------------------------------------------------------------------------------------------------
def source_rows(now: datetime, opened: Collection[str] = ()) -> list[SourceRow]:
    """Every source, the worst first, then by name."""
    sources = list(Source.objects.defer("config", "secrets"))
    by_source: dict[int, list[StreamFreshness]] = {source.pk: [] for source in sources}
    for found in stream_freshness(now):
        by_source.setdefault(found.source_id, []).append(found)
    active = {run.source_id: run for run in SyncRun.objects.active().defer("failure_detail").order_by()}
    open_ids = {source.pk for source in sources if source.slug in opened}
    streams = _streams_wanted(by_source, open_ids)
    rows = [
        _source_row(source, by_source[source.pk], active.get(source.pk), streams, source.pk in open_ids, now)
        for source in sources
    ]
    return sorted(rows, key=lambda row: WORST_FIRST.index(row.state))


def _streams_wanted(by_source: dict[int, list[StreamFreshness]], open_ids: set[int]) -> dict[int, Stream]:
    """The streams whose names the page says: those that need attention, and those of opened sources."""
    attention = [one.stream_id for found in by_source.values() for one in found if one.state in ATTENTION]
    if not attention and not open_ids:
        return {}
    wanted = Stream.objects.filter(Q(pk__in=attention[:NAMES_LOOKED_UP]) | Q(source__in=open_ids))
    return {stream.pk: stream for stream in wanted.only("source_id", "name", "label", "freshness_minutes")}


def _source_row(
    source: Source,
    found: list[StreamFreshness],
    active_run: SyncRun | None,
    streams: dict[int, Stream],
    is_open: bool,
    now: datetime,
) -> SourceRow:
    found = sorted(found, key=lambda one: WORST_FIRST.index(one.state))
    counts = Counter(one.state for one in found)
    synced = [one for one in found if one.last_ok_at is not None]
    return SourceRow(
        source=source,
        state=worst(counts),
        counts=counts,
        last_ok_at=max((one.last_ok_at for one in synced if one.last_ok_at), default=None),
        rows=sum(one.last_rows or 0 for one in synced) if synced else None,
        next_at=next_sync(source, now),
        active_run=active_run,
        attention=[str(streams[one.stream_id]) for one in found if one.state in ATTENTION and one.stream_id in streams],
        sentence=next((one.last_sentence for one in found if one.state == FAILING and one.last_sentence), ""),
        streams=[StreamRow(streams[one.stream_id], one) for one in found if one.stream_id in streams]
        if is_open
        else None,
    )


def next_sync(source: Source, now: datetime) -> datetime | None:
    if not (source.is_enabled and source.schedule):
        return None
    return _next_run(source.schedule, source.timezone, now.replace(second=0, microsecond=0))


@lru_cache(maxsize=2048)
def _next_run(schedule: str, zone: str, minute: datetime) -> datetime | None:
    """Schedules are exact to the minute, so within one the answer stands for every reader of the page."""
    return next(iter(schedules.next_runs(schedule, zone, minute, count=1)), None)


# --- publication and what goes on ------------------------------------------------------------------------------------
def publication_state() -> PublicationState:
    """One query: the publication people see, the first that was refused after it, and the last."""
    current = Publication.objects.published().order_by("-pk").values("pk")[:1]
    refused = Publication.objects.filter(
        outcome=Publication.Outcome.HELD, pk__gt=Coalesce(Subquery(current), Value(0))
    ).order_by()
    found = list(
        Publication.objects.filter(
            Q(pk__in=current)
            | Q(pk__in=refused.order_by("pk").values("pk")[:1])
            | Q(pk__in=refused.order_by("-pk").values("pk")[:1])
        )
        .select_related("build")
        .order_by("pk")
    )
    shown = next((row for row in found if row.outcome == Publication.Outcome.PUBLISHED), None)
    held = [row for row in found if row.outcome == Publication.Outcome.HELD]
    return PublicationState(shown, held[-1] if held else None, held[0].finished_at if held else None)


def signals() -> Signals:
    """One query over everything that only has to be counted or dated: (what, number, moment)."""

    def of(queryset: Any, what: str | F, count: Any, at: Any) -> Any:
        label = Value(what, output_field=CharField()) if isinstance(what, str) else what
        return (
            queryset.order_by()
            .annotate(what=label)
            .values("what")
            .annotate(n=count, at=at)
            .values_list("what", "n", "at")
        )

    parts = [of(model.objects.active(), name, Min("pk"), Min("queued_at")) for name, model in _STAGES.items()]
    # What a build took along that was published in part waits for nothing but what is kept, which is said there.
    shown = Publication.objects.published().filter(build__syncs=OuterRef("pk"))
    waiting = SyncRun.objects.filter(~Exists(shown), awaits_build=True)
    parts.append(of(waiting, "waiting", Count("pk"), Min("finished_at")))
    parts.append(
        of(Notification.objects.undelivered().filter(attempts__gt=0), "undelivered", Count("pk"), Min("created_at"))
    )
    parts.append(of(Beacon.objects.filter(name__in=PARTS), F("name"), Count("pk"), Min("seen_at")))
    # An aggregate over nothing is still a row, without a moment.
    rows = {what: (n, at) for what, n, at in parts[0].union(*parts[1:], all=True) if at is not None}
    return Signals(
        working={stage: rows[stage] for stage in _STAGES if stage in rows},
        waiting_since=rows["waiting"][1] if "waiting" in rows else None,
        undelivered=rows["undelivered"][0] if "undelivered" in rows else 0,
        seen_at={part: rows[part][1] for part in PARTS if part in rows},
    )
