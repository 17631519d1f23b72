"""What a build has to do: downstream of what changed, without what cannot be built. Plain sets, no dbt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SourceTable:
    """A raw table that the dbt project reads.

    `is_optional`: all that reads it copes when it does not exist. `optional_for`: these dbt models (by name) do, and what
    leads to them; everything else below it is left out. `one_of` names a kind of tables that can stand in for each other:
    what reads them needs any one of them.
    """

    unique_id: str
    table: str  # "raw_stripe.invoices"
    is_optional: bool
    optional_for: tuple[str, ...] = ()
    one_of: str = ""

    @property
    def reads_as_empty(self) -> bool:
        """Whether its staging shows no rows when the table does not exist, instead of being left out itself."""
        return self.is_optional or bool(self.optional_for)


@dataclass(frozen=True)
class Mart:
    """A dbt model that people look at."""

    unique_id: str
    relation: str  # "mart_finance.mrr_monthly"


@dataclass(frozen=True)
class Selection:
    """dbt's own words for what to build (`select`; () is everything) and what not, with the reasons for people.

    `lacking`: the unique id of all that is excluded → the tables it lacks. `is_empty`: nothing in the project is
    downstream of what changed.
    """

    select: tuple[str, ...]
    exclude: tuple[str, ...]
    missing_optional: tuple[str, ...]
    left_out: tuple[str, ...]
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
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
    present = [source for source in sources if source.table in raw_tables]
    known = {source.table for source in present}
    changed = list(changed)
    select = tuple(f"source:{table}+" for table in sorted(known.intersection(changed)))
    served = {source.one_of for source in present if source.one_of}
    needed = [source for source in absent if not source.is_optional and source.one_of not in served]
    tops = {source: _tops(source, children) for source in needed}
    below: dict[str, set[str]] = {}
    for source, found in tops.items():
        below.setdefault(_label(source, needed), set()).update(found | descendants(found, children))
    lacking = {
        node: tuple(table for table, found in below.items() if node in found) for node in set().union(*below.values())
    }
    return Selection(
        select=select,
        exclude=tuple(sorted({_selector(top, source) for source, found in tops.items() for top in found})),
        missing_optional=tuple(source.table for source in absent if source.reads_as_empty or source not in needed),
        left_out=tuple(
            f"{mart.relation}: {needs(lacking[mart.unique_id])}"
            for mart in sorted(marts, key=lambda mart: mart.relation)
            if mart.unique_id in lacking
        ),
        lacking=lacking,
        is_empty=not present or (bool(changed) and not select),
    )


def _tops(source: SourceTable, children: Mapping[str, Iterable[str]]) -> set[str]:
    """Where to cut when the table does not exist: these and everything below them cannot be built."""
    if not source.optional_for:
        return {source.unique_id}
    below = descendants([source.unique_id], children)
    coping = {node for node in below if _name(node) in source.optional_for}
    ways = {node for node in below - coping if coping & descendants([node], children)}
    cut = {child for node in {source.unique_id} | ways for child in children.get(node, ())}
    # A test that looks at nothing but what is built holds for no rows as well.
    return {node for node in cut - coping - ways if node.startswith("model.")}


def _selector(top: str, source: SourceTable) -> str:
    return f"source:{source.table}+" if top == source.unique_id else f"{_name(top)}+"


def _name(unique_id: str) -> str:
    return unique_id.rsplit(".", 1)[-1]


def needs(tables: Iterable[str]) -> str:
    """Why something is left out, for people."""
    return f"needs {', '.join(tables)}, which no source has brought in yet."


def _label(source: SourceTable, needed: list[SourceTable]) -> str:
    """The table, or those of which any one would do."""
    return " or ".join(
        other.table for other in needed if other is source or (other.one_of and other.one_of == source.one_of)
    )


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
