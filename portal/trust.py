"""Whether the numbers of a dashboard can be trusted right now: as of when, and what holds or delays them.

Only the sources that feed the dashboard's marts count. Unknown is never called fine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max
from django.urls import reverse

from metrics.restatements import BY_CUSTOMER, MONTHLY
from portal import restatements
from portal.models import Publication
from portal.overview import WAITING_AFTER, Overview, SourceRow
from portal.runs import RunStatus
from portal.text import clock, listed
from portal.verdict import as_clause
from quality.freshness import FAILING, FRESH, LATE, NEVER_SYNCED
from sources.models import SyncRun


@dataclass(frozen=True)
class Finding:
    """A sentence and where to look: (words, address)."""

    tone: str
    sentence: str
    link: tuple[str, str] | None = None


@dataclass(frozen=True)
class Trust:
    """`as_of`: when the oldest of what the numbers are made from was read. `findings`: the worst first, never none."""

    as_of: datetime | None
    published_at: datetime | None
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Finding:
        return self.findings[0]


# A note is no doubt: it stands behind whatever is said of freshness.
_ORDER = ("bad", "warn", "quiet", "good", "note")


def trust(seen: Overview, marts: Collection[str]) -> Trust:
    current = seen.publication.current
    if current is None:
        return Trust(None, None, (Finding("quiet", "Nothing is published yet."),))
    feeding = _feeding(seen.sources, current, marts)
    kept = {mart: told for mart, told in current.kept.items() if mart in marts}
    earlier = _earlier(kept)
    findings = [*_held(seen), *_kept(kept, earlier, marts, seen), *_late(feeding), *_waiting(seen)]
    if not findings:
        findings = [_all_is_well(feeding)]
    findings += _history(seen, marts)
    findings.sort(key=lambda finding: _ORDER.index(finding.tone))
    shown = [current, *earlier.values()] if set(kept) != set(marts) else [*earlier.values()] or [current]
    moments = [moment for one in shown if (moment := _as_of(_feeding(seen.sources, one, marts), one)) is not None]
    return Trust(min(moments, default=None), current.finished_at, tuple(findings))


def _feeding(sources: Iterable[SourceRow], current: Publication, marts: Collection[str]) -> list[SourceRow]:
    """The sources from which the published build computed these marts."""
    feeds = current.build.feeds
    return [row for row in sources if set(feeds.get(row.source.dataset, ())) & set(marts)]


def _as_of(feeding: list[SourceRow], current: Publication) -> datetime | None:
    """One query: when the last good sync before the published build began, of the source where that is longest ago."""
    if current.build.started_at is None:
        return None
    began = (
        SyncRun.objects.filter(
            source__in=[row.source.pk for row in feeding],
            status=RunStatus.SUCCEEDED,
            finished_at__lte=current.build.started_at,
        )
        .order_by()
        .values("source")
        .annotate(began=Max("started_at"))
        .values_list("began", flat=True)
    )
    return min((moment for moment in began if moment is not None), default=None)


def _held(seen: Overview) -> list[Finding]:
    state = seen.publication
    if not state.held or not state.held_since:
        return []
    because = as_clause(state.held.reasons[0]) if state.held.reasons else "no reason was recorded"
    more = len(state.held.reasons) - 1
    also = f" (and {more} more)" if more > 0 else ""
    return [
        Finding(
            "bad",
            f"Held since {clock(state.held_since, seen.now)} because {because}{also}. You see the last good numbers.",
            ("What holds it", reverse("build", args=[state.held.build_id])),
        )
    ]


def _earlier(kept: Mapping[str, Any]) -> dict[int, Publication]:
    """The versions from which marts were kept; one query when there are any."""
    wanted = {told["publication"] for told in kept.values()} - {None}
    return {one.pk: one for one in Publication.objects.filter(pk__in=wanted).select_related("build")} if wanted else {}


def _kept(
    kept: Mapping[str, Any], earlier: Mapping[int, Publication], marts: Collection[str], seen: Overview
) -> list[Finding]:
    """Which of these marts are older than the rest, since when and why."""
    found = []
    for mart, told in sorted(kept.items()):
        origin = earlier.get(told["publication"])
        link = (mart, reverse("dataset", args=[mart]))
        if origin is None or origin.finished_at is None:
            found.append(Finding("bad", f"{mart} is not there: {as_clause(told['because'])}.", link))
            continue
        since = clock(origin.finished_at, seen.now)
        mixed = " The rest of this page is newer, so that numbers may differ." if len(kept) < len(marts) else ""
        found.append(
            Finding("bad", f"{mart} is kept as published {since}, because {as_clause(told['because'])}.{mixed}", link)
        )
    return found


def _late(feeding: list[SourceRow]) -> list[Finding]:
    said = {
        FAILING: ("bad", "{name} is failing, so these numbers get older: {why}"),
        LATE: ("warn", "{name} is later than promised: {what}."),
        NEVER_SYNCED: ("warn", "Some of {name} was never synced: {what}."),
    }
    found = []
    for row in feeding:
        if row.state in said:
            tone, words = said[row.state]
            what = listed(row.attention, most=3) or "some of its streams"
            sentence = words.format(name=row.source.name, why=row.sentence or f"{what}.", what=what)
            found.append(Finding(tone, sentence, (row.source.name, reverse("source", args=[row.source.slug]))))
    return found


def _waiting(seen: Overview) -> list[Finding]:
    since = seen.signals.waiting_since
    if since and not seen.publication.held and seen.now - since > WAITING_AFTER:
        return [
            Finding(
                "warn",
                f"Newer data has been waiting to be published since {clock(since, seen.now)}.",
                ("Status", reverse("status")),
            )
        ]
    return []


def _history(seen: Overview, marts: Collection[str]) -> list[Finding]:
    """Whether months that were over are told otherwise since a few days, on dashboards that show MRR."""
    if MONTHLY not in marts and BY_CUSTOMER not in marts:
        return []
    found = []
    if seen.restated:
        where = ("All changes", f"{reverse('dashboard', args=['mrr'])}#restated")
        found.append(Finding("note", restatements.headline(seen.restated), where))
    if seen.publication.current and seen.publication.current.history_note:
        found.append(Finding("warn", seen.publication.current.history_note))
    return found


def _all_is_well(feeding: list[SourceRow]) -> Finding:
    if not feeding:
        return Finding("quiet", "It is not known which sources these numbers come from.")
    names = listed([row.source.name for row in feeding], most=3)
    unpromised = [row for row in feeding if row.counts[FRESH] < row.stream_count or not row.stream_count]
    if unpromised:
        nobody = listed([row.source.name for row in unpromised], most=3)
        link = (unpromised[0].source.name, reverse("source", args=[unpromised[0].source.slug]))
        return Finding("quiet", f"Checked. How fresh {nobody} has to be is not promised for every stream.", link)
    return Finding("good", f"Fresh and checked: {names}.")
