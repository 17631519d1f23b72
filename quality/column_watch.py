"""An incident for each stream whose columns changed and about which a person has to decide, until somebody did."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.lineage import affected_by
from quality import incidents
from quality.models import Incident
from sources.models import SchemaChange, Source, Stream

PREFIX = "columns:"


def watch_columns(source: Source | None = None) -> int:
    """Open, bring up to date and resolve; of one source or of all. Returns how many were opened or resolved.

    Costs two queries when there is nothing to say.
    """
    undecided = SchemaChange.objects.undecided().select_related("stream__source").order_by("pk")
    undecided = undecided.defer("stream__source__secrets")  # a lost key must not silence the watch
    open_ones = Incident.objects.open().filter(kind=Incident.Kind.COLUMNS)
    if source is not None:
        undecided = undecided.filter(stream__source=source)
        open_ones = open_ones.filter(fingerprint__startswith=f"{PREFIX}{source.slug}:")
    known = dict(open_ones.values_list("fingerprint", "sentence"))
    streams: dict[str, tuple[Stream, list[SchemaChange]]] = {}
    for change in undecided:
        streams.setdefault(_fingerprint(change.stream), (change.stream, []))[1].append(change)
    moved = 0
    for fingerprint, (stream, changes) in streams.items():
        sentence = _sentence(stream, changes)
        if fingerprint not in known:
            _report(fingerprint, stream, changes, sentence)
            moved += 1
        elif known[fingerprint] != sentence:
            incidents.refresh(fingerprint, sentence=sentence, affected=_affected(stream, changes))
    for fingerprint in known.keys() - streams.keys():
        moved += incidents.resolve(fingerprint, "Somebody decided, or the columns are what they were.")
    return moved


def _fingerprint(stream: Stream) -> str:
    return f"{PREFIX}{stream.source.slug}:{stream.name}"[:255]


def _report(fingerprint: str, stream: Stream, changes: Sequence[SchemaChange], sentence: str) -> None:
    what = "is held: its columns changed" if _is_held(changes) else "has other columns than before (warning)"
    incidents.report(
        kind=Incident.Kind.COLUMNS,
        fingerprint=fingerprint,
        title=f"{stream} of {stream.source.name} {what}",
        sentence=sentence,
        affected=_affected(stream, changes),
        path=f"{stream.source.get_absolute_url()}#changes",
        source=stream.source,
    )


def _is_held(changes: Sequence[SchemaChange]) -> bool:
    return any(change.decision == SchemaChange.Decision.HELD for change in changes)


def _sentence(stream: Stream, changes: Sequence[SchemaChange]) -> str:
    told = " ".join(change.sentence for change in changes)
    if _is_held(changes):
        return f"{told} Nothing of {stream} is loaded until somebody agrees to it on the source's page."
    return f"{told} The rows were loaded. Say on the source's page that you have seen it."


def _affected(stream: Stream, changes: Sequence[SchemaChange]) -> list[str]:
    table = f"{stream.source.dataset}.{stream.name}"
    if _is_held(changes):
        return [f"{table} keeps the rows it had; nothing is lost, they are read as soon as somebody agrees."]
    return [f"Whatever is computed from these columns of {table}.", *affected_by([table])]
