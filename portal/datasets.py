"""How every dataset is right now, in a word and a sentence, and what follows for what people look at.

look(now)   everything in a constant number of queries

The worst that is true is the state. Green is only what was built, from data that is on time, with every check passed;
unknown is never green.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from metrics.lineage import Graph, graph
from metrics.models import Dataset, Exposure
from portal.overview import PublicationState, publication_state
from portal.text import ago, clock, listed, plural
from portal.verdict import as_clause
from quality.freshness import FAILING, FRESH, LATE, NEVER_SYNCED, StreamFreshness, stream_freshness
from quality.models import Check, Outcome, Severity, latest_result
from quality.results import BAD


@dataclass(frozen=True)
class State:
    """`badge`: a word of the badges. `sentence`: what it means here."""

    badge: str
    sentence: str


# From bad to good; a dashboard is as bad as the worst of what it shows.
_WORST_FIRST = (
    "not_built",
    "check_fails",
    "failing",
    "held",
    "left_as_it_was",
    "late",
    "check_warns",
    "never_synced",
    "left_out",
    "not_connected",
    "not_read",
    "never_built",
    "not_checked",
    "not_all_checked",
    "unknown",
    "fresh",
    "built",
)
ATTENTION = _WORST_FIRST[:7]

CheckCounts = Counter[tuple[str, str]]  # (severity, latest outcome; "" never run) → how many


@dataclass(frozen=True)
class Catalogue:
    now: datetime
    graph: Graph
    states: Mapping[str, State]  # by name of a dataset
    checks: Mapping[str, CheckCounts]
    freshness: Mapping[int, StreamFreshness]  # by stream
    publication: PublicationState

    def of_exposure(self, exposure: Exposure) -> State:
        """The worst state among what it reads."""
        names = sorted(self.graph.shows.get(exposure.name, ()))
        if not names:
            return State("unknown", "It is not known what it reads.")
        worst = min(names, key=lambda name: _WORST_FIRST.index(self.states[name].badge))
        state = self.states[worst]
        if state.badge == "built":
            return State("built", "Everything it shows is built and checked.")
        return State(state.badge, f"{worst}: {state.sentence}")

    def checks_in_words(self, name: str) -> str:
        """ "12 checks, 1 failed" """
        counts = self.checks.get(name, Counter())
        if not counts:
            return "no check"
        outcomes: Counter[str] = Counter()
        for (_, outcome), count in counts.items():
            outcomes[outcome] += count
        said = [
            f"{outcomes[outcome]} {words}"
            for outcome, words in (
                (Outcome.FAIL, "failed"),
                (Outcome.ERROR, "could not be checked"),
                (Outcome.WARN, "warned"),
                (Outcome.LEARNING, "still learning"),
                (Outcome.SKIPPED, "not looked at"),
                ("", "never run"),
            )
            if outcomes[outcome]
        ]
        return ", ".join([plural(sum(counts.values()), "check"), *said])


def look(now: datetime) -> Catalogue:
    found = graph()
    freshness = {one.stream_id: one for one in stream_freshness(now)}
    checks: dict[str, CheckCounts] = {}
    latest = Check.objects.enabled().annotate(said=latest_result("outcome")).values_list("dataset", "severity", "said")
    for about, severity, outcome in latest:
        checks.setdefault(about, Counter())[severity, outcome or ""] += 1
    publication = publication_state()
    states: dict[str, State] = {}
    for name, dataset in found.datasets.items():
        if dataset.layer == Dataset.Layer.RAW:
            states[name] = _raw(dataset, freshness, checks.get(name, Counter()), now)
    for name, dataset in found.datasets.items():
        if dataset.layer != Dataset.Layer.RAW:
            states[name] = _made(dataset, found, states, checks.get(name, Counter()), publication, now)
    return Catalogue(now, found, states, checks, freshness, publication)


# --- raw tables -------------------------------------------------------------------------------------------------------
def _raw(dataset: Dataset, freshness: Mapping[int, StreamFreshness], checks: CheckCounts, now: datetime) -> State:
    if dataset.source is None:
        return State("not_connected", f"No source is connected that brings {dataset.name}.")
    if dataset.stream is None or not dataset.stream.is_enabled:
        return State("not_read", f"{dataset.source.name} does not read it: the stream is not switched on.")
    found = freshness.get(dataset.stream.pk)
    trouble = _check_trouble(checks)
    if trouble is not None and trouble.badge == "check_fails":
        return trouble
    if found is None:
        return State("unknown", "Nobody knows how fresh it is.")
    read = f"Read {ago(found.last_ok_at, now)}"
    if found.state == FAILING:
        return State(FAILING, found.last_sentence or "It could not be read.")
    if found.state == LATE:
        return State(LATE, f"{read}, which is later than promised.")
    if found.state == NEVER_SYNCED:
        return State(NEVER_SYNCED, "It has not arrived once.")
    if trouble is not None and trouble.badge == "check_warns":
        return trouble
    if found.state == FRESH:
        return State(FRESH, f"{read}.")
    return State("unknown", f"{read}; how fresh it has to be is not promised.")


# --- what dbt makes ---------------------------------------------------------------------------------------------------
def _made(
    dataset: Dataset,
    found: Graph,
    states: Mapping[str, State],
    checks: CheckCounts,
    publication: PublicationState,
    now: datetime,
) -> State:
    if dataset.outcome == Dataset.Outcome.FAILED:
        return State("not_built", f"The last build could not make it. {_last_built(dataset, now)}")
    trouble = _check_trouble(checks)
    if trouble is not None and trouble.badge == "check_fails":
        return trouble
    if dataset.outcome == Dataset.Outcome.SKIPPED:
        return State("left_as_it_was", f"{dataset.reason} {_last_built(dataset, now)}")
    if dataset.outcome == Dataset.Outcome.LEFT_OUT:
        return State("left_out", dataset.reason)
    if dataset.built_at is None:
        return State("never_built", "No build has made it yet.")
    if held := _held(dataset, publication, now):
        return State("held", held)
    if late := _late(dataset, found, states):
        return State("late", f"Built {ago(dataset.built_at, now)}, but {late}.")
    built = f"Built {ago(dataset.built_at, now)}"
    return State(trouble.badge, f"{built}. {trouble.sentence}") if trouble else State("built", f"{built}, checked.")


def _last_built(dataset: Dataset, now: datetime) -> str:
    return f"It was last built {ago(dataset.built_at, now)}." if dataset.built_at else "It was never built."


def _held(dataset: Dataset, publication: PublicationState, now: datetime) -> str:
    """Why people do not see what was built last; empty when they do."""
    if publication.current is not None and (told := publication.current.kept.get(dataset.name)):
        return f"People see it as it was published before. {told['because']}"
    if dataset.layer != Dataset.Layer.MART or publication.held is None or dataset.built_at is None:
        return ""
    current = publication.current
    if current is not None and current.finished_at and dataset.built_at <= current.finished_at:
        return ""
    reasons = publication.held.reasons
    because = f" because {as_clause(reasons[0])}" if reasons else ""
    seen = (
        f"People see those of {clock(current.finished_at, now)}"
        if current and current.finished_at
        else "Nobody sees it"
    )
    return f"Newer rows were built and are held{because}. {seen}."


def _late(dataset: Dataset, found: Graph, states: Mapping[str, State]) -> str:
    """Which raw tables above it are late or failing, as a clause."""
    above = [name for name in found.upstream([dataset.name]) if found.datasets[name].layer == Dataset.Layer.RAW]
    behind = sorted(name for name in above if states[name].badge in (FAILING, LATE))
    if not behind:
        return ""
    verb = "is" if len(behind) == 1 else "are"
    return f"{listed(behind, most=3)} {verb} late or cannot be read"


# --- checks -----------------------------------------------------------------------------------------------------------
def _check_trouble(checks: CheckCounts) -> State | None:
    """The worst that checks say; None when all that can judge yet passed."""
    failing = _count(checks, BAD, Severity.CRITICAL)
    if failing:
        return State("check_fails", f"{plural(failing, 'critical check does', 'critical checks do')} not hold.")
    warning = _count(checks, (*BAD, Outcome.WARN))
    if warning:
        return State("check_warns", f"{plural(warning, 'check warns', 'checks warn')}.")
    if not _count(checks, (Outcome.PASS,)):
        return State("not_checked", "No check has said yet that it is right." if checks else "No check looks at it.")
    unsaid = _count(checks, (Outcome.SKIPPED, ""))
    if unsaid:
        return State("not_all_checked", f"{plural(unsaid, 'check has', 'checks have')} not said anything yet.")
    return None


def _count(checks: CheckCounts, outcomes: Iterable[str], severity: str = "") -> int:
    wanted = set(outcomes)
    return sum(
        count for (level, outcome), count in checks.items() if outcome in wanted and (not severity or level == severity)
    )
