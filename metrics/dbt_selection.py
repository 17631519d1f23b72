"""What a build has to do: downstream of what changed, without what cannot be built. Plain sets, no dbt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SourceTable:
    """A raw table that the dbt project reads. `is_optional`: what reads it copes when it does not exist."""

    unique_id: str
    table: str  # "raw_stripe.invoices"
    is_optional: bool


@dataclass(frozen=True)
class Mart:
    """A dbt model that people look at."""

    unique_id: str
    relation: str  # "mart_finance.mrr_monthly"


@dataclass(frozen=True)
class Selection:
    """dbt's own words for what to build (`select`; () is everything) and what not, with the reasons for people.

    `is_empty`: nothing in the project is downstream of what changed.
    """

    select: tuple[str, ...]
    exclude: tuple[str, ...]
    missing_optional: tuple[str, ...]
    left_out: tuple[str, ...]
    is_empty: bool = False


def choose(
    changed: Iterable[str],
    raw_tables: frozenset[str],
    sources: Iterable[SourceTable],
    marts: Iterable[Mart],
    children: Mapping[str, Iterable[str]],
) -> Selection:
    """Work out a build. `changed` () means everything; `children` is the dbt graph by unique id."""
    sources = sorted(sources, key=lambda source: source.table)
    absent = [source for source in sources if source.table not in raw_tables]
    needed = [source for source in absent if not source.is_optional]
    present = [source for source in sources if source.table in raw_tables]
    known = {source.table for source in present}
    changed = list(changed)
    select = tuple(f"source:{table}+" for table in sorted(known.intersection(changed)))
    return Selection(
        select=select,
        exclude=tuple(f"source:{source.table}+" for source in needed),
        missing_optional=tuple(source.table for source in absent if source.is_optional),
        left_out=_left_out(needed, marts, children),
        is_empty=not present or (bool(changed) and not select),
    )


def _left_out(
    needed: list[SourceTable], marts: Iterable[Mart], children: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    below = {source.table: descendants([source.unique_id], children) for source in needed}
    sentences = []
    for mart in sorted(marts, key=lambda mart: mart.relation):
        lacking = [table for table, descendants in below.items() if mart.unique_id in descendants]
        if lacking:
            sentences.append(f"{mart.relation}: needs {', '.join(lacking)}, which no source has brought in yet.")
    return tuple(sentences)


def descendants(unique_ids: Iterable[str], children: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything that depends on one of `unique_ids`, directly or not; without these themselves."""
    found: set[str] = set()
    waiting = list(unique_ids)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found
