"""The top line: the state of everything as one sentence, worst news first. Unknown is never called fine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from portal import restatements
from portal.overview import WAITING_AFTER, Overview, SourceRow
from portal.text import ago, clock, listed, plural


@dataclass(frozen=True)
class Verdict:
    """`tone` is good, warn, bad or quiet. `announce` is the sentence without ages, so it changes only with the state."""

    tone: str
    sentence: str
    announce: str
    notes: tuple[str, ...] = ()


def judge(seen: Overview) -> Verdict:
    """The worst that is true becomes the sentence; everything else that is true becomes a note."""
    findings = [*_publication(seen), *_sources(seen)]
    if seen.incident_count and not findings:
        findings.append(("warn", f"{plural(seen.incident_count, 'incident is', 'incidents are')} open."))
    findings += _background(seen)
    if not seen.sources:
        return Verdict("quiet", "No source is connected yet.", "No source is connected yet.", _words(findings))
    order = ("bad", "warn", "quiet")
    findings.sort(key=lambda finding: order.index(finding[0]))
    if not findings:
        verdict = _all_is_well(seen)
        return replace(verdict, notes=(*verdict.notes, *_history(seen)))
    tone, sentence = findings[0]
    announce = sentence
    current = seen.publication.current
    if current and not current.kept and not seen.publication.held:
        sentence += f" The numbers are from {_published_ago(seen)}."
    return Verdict(tone, sentence, announce, (*_words(findings[1:]), *_history(seen)))


Finding = tuple[str, str]


def _words(findings: list[Finding]) -> tuple[str, ...]:
    return tuple(sentence for _, sentence in findings)


def _published_ago(seen: Overview) -> str:
    current = seen.publication.current
    return ago(current.finished_at if current else None, seen.now)


def _all_is_well(seen: Overview) -> Verdict:
    counts = seen.state_counts
    unpromised = counts["unknown"]
    empty = [row for row in seen.sources if not row.stream_count]
    if not counts["fresh"]:
        return Verdict(
            "quiet",
            f"Published {_published_ago(seen)}, but no stream has a freshness promise, so nobody can say how fresh it is.",
            "No stream has a freshness promise.",
        )
    if unpromised or empty:
        notes = []
        if unpromised:
            notes.append(f"{plural(unpromised, 'stream')} without a freshness promise: nobody can say how fresh.")
        if empty:
            notes.append(f"Nothing is read from {_names(empty)}.")
        return Verdict(
            "good",
            f"Everything that was promised is fresh and published {_published_ago(seen)}.",
            "Everything that was promised is fresh and published.",
            tuple(notes),
        )
    return Verdict(
        "good",
        f"Everything is fresh and published {_published_ago(seen)}.",
        "Everything is fresh and published.",
    )


def _publication(seen: Overview) -> list[Finding]:
    state = seen.publication
    if state.held and state.held_since:
        because = as_clause(state.held.reasons[0]) if state.held.reasons else "no reason was recorded"
        findings = [("bad", f"Held since {clock(state.held_since, seen.now)} because {because}.")]
        more = len(state.held.reasons) - 1
        also = f"There {'is' if more == 1 else 'are'} {plural(more, 'more reason')}. " if more > 0 else ""
        if state.current and state.current.finished_at:
            also += f"The numbers are from {clock(state.current.finished_at, seen.now)}."
        return [*findings, ("bad", also.strip())] if also else findings
    if state.current is None:
        if seen.signals.working:
            return [("quiet", "The first numbers are on their way: they are being built and checked right now.")]
        return [("quiet", "Nothing is published yet. The first numbers appear after the first sync.")]
    found = []
    if kept := sorted(state.current.kept):
        because = as_clause(state.current.kept[kept[0]]["because"])
        some = f"{listed(kept, most=3)} {'is' if len(kept) == 1 else 'are'}"
        found.append(("bad", f"{some} kept as published before because {because}."))
    if state.current.history_note:
        found.append(("warn", state.current.history_note))
    waiting = seen.signals.waiting_since
    if waiting and seen.now - waiting > WAITING_AFTER:
        found.append(("warn", f"New data has been waiting to be published since {clock(waiting, seen.now)}."))
    return found


def _history(seen: Overview) -> tuple[str, ...]:
    """What became of months that were over: news for some days, and no trouble."""
    return (restatements.headline(seen.restated),) if seen.restated else ()


def as_clause(sentence: str) -> str:
    """A sentence to stand after "because": no full stop, no capital where it is an ordinary word."""
    words = sentence.rstrip(". ")
    first = words.split(" ", 1)[0]
    is_ordinary = first[:1].isupper() and first[1:].islower() and first in _ORDINARY
    return words[0].lower() + words[1:] if is_ordinary else words


_ORDINARY = {"The", "A", "An", "One", "Nothing", "Nobody", "No", "Something", "This", "It", "Checks", "Rows"}


def _sources(seen: Overview) -> list[Finding]:
    findings: list[Finding] = []
    by_state: dict[str, list[SourceRow]] = {}
    for row in seen.sources:
        by_state.setdefault(row.state, []).append(row)
    if rows := by_state.get("failing"):
        findings.append(("bad", f"{plural(len(rows), 'source is', 'sources are')} failing: {_names(rows)}."))
    if rows := by_state.get("late"):
        findings.append(("warn", f"{plural(len(rows), 'source is', 'sources are')} late: {_names(rows)}."))
    if rows := by_state.get("never_synced"):
        findings.append(
            ("warn", f"{plural(len(rows), 'source has', 'sources have')} never been synced: {_names(rows)}.")
        )
    return findings


def _names(rows: list[SourceRow]) -> str:
    return listed([row.source.name for row in rows], most=3)


def _background(seen: Overview) -> list[Finding]:
    findings: list[Finding] = []
    for name, seen_at in seen.silent:
        verb = "has" if name == "The scheduler" else "have"
        if seen_at is None:
            findings.append(("warn", f"{name} {verb} never given a sign of life, so nothing runs by itself."))
        else:
            silence = ago(seen_at, seen.now).removesuffix(" ago")
            findings.append(("warn", f"{name} {verb} given no sign of life for {silence}."))
    if seen.signals.undelivered:
        findings.append(("warn", f"{plural(seen.signals.undelivered, 'mail')} could not be delivered."))
    return findings
