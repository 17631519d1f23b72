"""How fresh each stream is, computed at the moment of asking, and what happens when a promise is broken.

    failing       the last sync of the stream was given up, and none succeeded since
    late          older than promised
    never_synced  it has not arrived once
    unknown       nothing is promised, or the source is switched off; never shown as green
    fresh         within its promise

All arithmetic is on absolute time: a day with 23 or 25 hours changes no age.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from metrics.lineage import affected_by, graph
from portal.runs import RunStatus
from portal.text import duration, plural, span
from quality import incidents
from quality.models import Incident
from sources.models import Source, Stream, StreamSync

FRESH, UNKNOWN, NEVER_SYNCED, LATE, FAILING = "fresh", "unknown", "never_synced", "late", "failing"
# From bad to good: a source is as bad as its worst stream.
WORST_FIRST = (FAILING, LATE, NEVER_SYNCED, UNKNOWN, FRESH)

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class StreamFreshness:
    """One stream at one moment. `due_at`: when its promise ends (or ended); None when nothing is promised.
    `last_rows`: rows of the last good sync. `last_sentence`: why it fails; empty otherwise."""

    stream_id: int
    source_id: int
    state: str
    last_ok_at: datetime | None
    last_rows: int | None
    last_sentence: str
    due_at: datetime | None


def worst(states: Iterable[str]) -> str:
    """The state of a source from those of its streams; unknown when it has none."""
    present = set(states)
    return next((state for state in WORST_FIRST if state in present), UNKNOWN)


def stream_freshness(now: datetime, streams: QuerySet[Stream] | None = None) -> list[StreamFreshness]:
    """The freshness of every enabled stream (or of those in `streams`), in one query."""
    # Plain values: making a thousand streams with their sources costs more than the query itself.
    return [_freshness(now, *row) for row in _annotated(streams).values_list(*_FACTS)]


def _good_syncs() -> QuerySet[StreamSync]:
    """The good syncs of the outer stream, the newest first."""
    # `__in` and not `=`: Django writes the latter as a bare column, for which SQLite does not use the index.
    return StreamSync.objects.filter(stream=OuterRef("pk"), is_ok__in=[True]).order_by("-finished_at")


def _annotated(streams: QuerySet[Stream] | None) -> QuerySet[Stream]:
    good = _good_syncs()
    # A failed attempt that is still to be retried is not given up; one before the last success is history.
    given_up = StreamSync.objects.filter(
        stream=OuterRef("pk"),
        is_ok__in=[False],
        finished_at__gt=Coalesce(OuterRef("last_ok_at"), Value(_LONG_AGO)),
        attempt__run__status=RunStatus.FAILED,
    ).order_by("-finished_at")
    chosen = Stream.objects.enabled() if streams is None else streams
    return chosen.annotate(
        last_ok_at=Subquery(good.values("finished_at")[:1]),
        last_rows=Subquery(good.values("rows")[:1]),
        last_failure=Subquery(given_up.values("failure_sentence")[:1]),
    )


# What the state of a stream is judged by, in the order of `_freshness`.
_FACTS = (
    "pk",
    "source_id",
    "freshness_minutes",
    "source__is_enabled",
    "last_ok_at",
    "last_rows",
    "last_failure",
)
_ATTRIBUTES = tuple(fact.replace("__", ".") for fact in _FACTS)


def _freshness(
    now: datetime,
    stream_id: int,
    source_id: int,
    minutes: int | None,
    is_enabled: bool,
    last_ok_at: datetime | None,
    last_rows: int | None,
    last_failure: str | None,
) -> StreamFreshness:
    due_at = last_ok_at + timedelta(minutes=minutes) if last_ok_at is not None and minutes is not None else None
    if not is_enabled:
        state = UNKNOWN
    elif last_failure is not None:
        state = FAILING
    elif last_ok_at is None:
        state = NEVER_SYNCED
    elif due_at is None:
        state = UNKNOWN
    else:
        state = LATE if now > due_at else FRESH
    return StreamFreshness(
        stream_id=stream_id,
        source_id=source_id,
        state=state,
        last_ok_at=last_ok_at,
        last_rows=last_rows,
        last_sentence=last_failure or "",
        due_at=due_at,
    )


# --- promises -------------------------------------------------------------------------------------------------------
def watch_promises(now: datetime) -> tuple[int, int]:
    """Open an incident for each source with data older than promised, resolve those that kept their word again.

    Returns (opened, resolved). Costs two queries when there is nothing to say.
    """
    late: dict[str, list[tuple[Stream, StreamFreshness]]] = {}
    sources: dict[str, Source] = {}
    watched = Stream.objects.enabled().filter(source__is_enabled=True).select_related("source")
    watched = watched.defer("source__secrets")  # a lost key must not silence the watch
    read = attrgetter(*_ATTRIBUTES)
    answers = [
        (stream, _freshness(now, *read(stream))) for stream in _annotated(watched.order_by("source__slug", "name"))
    ]
    newest_sync = _newest_syncs(freshness for _, freshness in answers)
    for stream, freshness in answers:
        if stream.freshness is not None and _is_broken(stream, freshness, newest_sync.get(stream.source_id), now):
            late.setdefault(stream.source.slug, []).append((stream, freshness))
            sources[stream.source.slug] = stream.source
    open_ones = dict(
        Incident.objects.open().filter(kind=Incident.Kind.FRESHNESS).values_list("fingerprint", "affected")
    )
    opened = 0
    found = graph() if late else None
    for slug, streams in late.items():
        tables = [f"{sources[slug].dataset}.{stream.name}" for stream, _ in streams]
        affected = [_lateness(stream, freshness) for stream, freshness in streams] + affected_by(tables, found)
        sentence = _sentence(sources[slug], streams, now)
        fingerprint = f"freshness:{slug}"
        if fingerprint not in open_ones:
            incidents.report(
                kind=Incident.Kind.FRESHNESS,
                fingerprint=fingerprint,
                title=f"{sources[slug].name} is older than promised",
                sentence=sentence,
                affected=affected,
                path=_path(sources[slug]),
                source=sources[slug],
            )
            opened += 1
        elif open_ones[fingerprint] != affected:
            incidents.refresh(fingerprint, sentence=sentence, affected=affected)
    resolved = 0
    for fingerprint in open_ones:
        slug = fingerprint.removeprefix("freshness:")
        if slug not in late:
            resolved += incidents.resolve(fingerprint, _resolution(slug))
    return opened, resolved


def _newest_syncs(answers: Iterable[StreamFreshness]) -> dict[int, datetime]:
    """Source → when any of its streams was last synced well."""
    newest: dict[int, datetime] = {}
    for answer in answers:
        if answer.last_ok_at is not None:
            newest[answer.source_id] = max(answer.last_ok_at, newest.get(answer.source_id, answer.last_ok_at))
    return newest


def _is_broken(stream: Stream, freshness: StreamFreshness, newest: datetime | None, now: datetime) -> bool:
    """Older than promised, whatever the reason; one that never arrived counts from when it could have."""
    promise = stream.freshness or timedelta()
    if freshness.due_at is not None:
        return now > freshness.due_at
    since = [stream.source.created_at, stream.source.schedule_changed_at, newest]
    return now > max(moment for moment in since if moment is not None) + promise


def _lateness(stream: Stream, freshness: StreamFreshness) -> str:
    promise = span(stream.freshness)
    if freshness.last_ok_at is None:
        return f"{stream}: never arrived; promised within {promise}."
    failure = f" The last try failed: {freshness.last_sentence}" if freshness.last_sentence else ""
    return f"{stream}: last arrived {freshness.last_ok_at:%Y-%m-%d %H:%M} UTC; promised every {promise}.{failure}"


def _sentence(source: Source, streams: Sequence[tuple[Stream, StreamFreshness]], now: datetime) -> str:
    ages = [now - freshness.last_ok_at for _, freshness in streams if freshness.last_ok_at is not None]
    oldest = f" The oldest is {duration(max(ages))} old." if ages else " None of it has ever arrived."
    return f"{plural(len(streams), 'stream')} of {source.name} {'is' if len(streams) == 1 else 'are'} late.{oldest}"


def _path(source: Source) -> str:
    return source.get_absolute_url()


def _resolution(slug: str) -> str:
    source = Source.objects.filter(slug=slug).only("name", "is_enabled").first()
    if source is None:
        return "The source was removed, and its promises with it."
    if not source.is_enabled:
        return f"{source.name} was switched off; nothing is promised while it is off."
    return f"Everything promised for {source.name} is fresh again."
