"""What is computed from what, from the rows that builds keep (`metrics.datasets`): a whole graph in four queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from metrics.dbt_selection import descendants
from metrics.models import Dataset, Exposure
from portal.text import listed


@dataclass(frozen=True)
class Graph:
    """`datasets` by name; `reads`: name → names it reads directly; `shows`: name of an exposure → names it reads."""

    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    reads: Mapping[str, list[str]] = field(default_factory=dict)
    exposures: Mapping[str, Exposure] = field(default_factory=dict)
    shows: Mapping[str, list[str]] = field(default_factory=dict)

    @cached_property
    def read_by(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, parents in self.reads.items():
            for parent in parents:
                found.setdefault(parent, []).append(name)
        return found

    def upstream(self, names: Iterable[str]) -> set[str]:
        """Everything from which one of `names` is computed, directly or not."""
        return descendants(names, self.reads)

    def downstream(self, names: Iterable[str]) -> set[str]:
        """Everything that is computed from one of `names`, directly or not."""
        return descendants(names, self.read_by)

    def shown_in(self, names: Iterable[str]) -> list[Exposure]:
        """What shows one of `names` itself, by label."""
        wanted = set(names)
        return [exposure for name, exposure in self.exposures.items() if wanted & set(self.shows.get(name, ()))]


def graph() -> Graph:
    rows = Dataset.objects.select_related("source", "stream").defer("source__secrets", "source__config")
    datasets = {row.pk: row for row in rows}
    reads: dict[str, list[str]] = {}
    edges = Dataset.reads.through._default_manager.order_by("pk")
    for child, parent in edges.values_list("from_dataset_id", "to_dataset_id"):
        reads.setdefault(datasets[child].name, []).append(datasets[parent].name)
    exposures = {row.pk: row for row in Exposure.objects.all()}
    shows: dict[str, list[str]] = {}
    for exposure, dataset in Exposure.reads.through._default_manager.values_list("exposure_id", "dataset_id"):
        shows.setdefault(exposures[exposure].name, []).append(datasets[dataset].name)
    return Graph(
        {row.name: row for row in datasets.values()}, reads, {row.name: row for row in exposures.values()}, shows
    )


def affected_by(names: Iterable[str], found: Graph | None = None) -> list[str]:
    """In words, what people look at that is computed from one of these datasets; [] when nothing is, or nobody knows.

    `found`: a graph that was asked for already.
    """
    found = found or graph()
    wanted = set(names)
    below = found.downstream(wanted)
    marts = sorted(name for name in below if found.datasets[name].layer == Dataset.Layer.MART)
    shown = [exposure.label for exposure in found.shown_in(wanted | below)]
    lines = [f"Built from it: {listed(marts, most=12)}."] if marts else []
    return [*lines, f"Shown in: {listed(shown, most=12)}."] if shown else lines


def raw_tables(schema: str, found: Graph) -> list[str]:
    """What the dbt project reads of a source ("raw_stripe")."""
    return [name for name in found.datasets if name.startswith(f"{schema}.")]
