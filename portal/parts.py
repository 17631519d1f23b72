"""Publishing in part: when a dbt model could not be built, what stands below it stays as it was published, nothing else.

Never when it could mix what does not belong together: other switches of the metrics, or a graph that nobody knows. A
critical check that was not looked at keeps its mart back as well, since nobody has seen it hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metrics import lineage
from metrics.models import Build, Dataset
from portal.models import Publication
from portal.runs import RunStatus
from quality.models import CheckResult, Outcome, Severity


@dataclass(frozen=True)
class Parts:
    """`kept`: mart → why it stays as it is. `refusal`: why nothing may be published at all; empty when it may."""

    kept: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""


def parts_of(build: Build, current: Publication | None) -> Parts:
    """What of this build may be published beside what `current` shows."""
    if build.status != RunStatus.SUCCEEDED and not build.broke_in_part:
        return Parts(refusal=build.failure_sentence or "The metrics could not be built.")
    nodes = build.nodes.exclude(resource_type="test").exclude(status="success")
    unbuilt = {relation or name for relation, name in nodes.values_list("relation", "name")}
    unseen = set(
        CheckResult.objects.filter(
            build=build, outcome=Outcome.SKIPPED, check_row__severity=Severity.CRITICAL, check_row__is_enabled=True
        ).values_list("check_row__dataset", flat=True)
    )
    if build.broke_in_part and not unbuilt:
        return Parts(refusal=build.failure_sentence)
    if not unbuilt and not unseen:
        return Parts()
    graph = lineage.graph()
    if strangers := sorted((unbuilt | unseen) - set(graph.datasets)):
        return Parts(refusal=f"{_sentence(build)} What is computed from {strangers[0]} is not known.")
    if current is not None and current.build.switches != build.switches:
        why = "The definitions of the metrics are others than those of what people see, and the two are never mixed."
        return Parts(refusal=f"{_sentence(build)} {why}")
    marts = {name for name, dataset in graph.datasets.items() if dataset.layer == Dataset.Layer.MART}
    kept = {
        name: _why(graph.datasets[name], unbuilt, unseen, graph) for name in marts & _below(graph, unbuilt | unseen)
    }
    if kept and not any(graph.datasets[name].outcome == Dataset.Outcome.BUILT for name in marts - set(kept)):
        return Parts(refusal=_sentence(build))
    return Parts(kept)


def _sentence(build: Build) -> str:
    return build.failure_sentence or "Some dbt models could not be built."


def _below(graph: lineage.Graph, names: set[str]) -> set[str]:
    return names | graph.downstream(names)


def _why(dataset: Dataset, unbuilt: set[str], unseen: set[str], graph: lineage.Graph) -> str:
    if dataset.name in unbuilt:
        return dataset.reason if dataset.outcome == Dataset.Outcome.SKIPPED else "It could not be built."
    if dataset.name in unseen:
        return "A critical check of it could not be looked at."
    above = sorted((unbuilt | unseen) & graph.upstream([dataset.name]))
    return f"It builds on {above[0]}, which could not be built or checked."


def origins(kept: Mapping[str, str], current: Publication | None, there: set[str]) -> dict[str, dict[str, Any]]:
    """As `Publication.kept` remembers them. `there`: the marts that `current` has."""
    found = {}
    for mart, because in sorted(kept.items()):
        earlier = current.kept.get(mart, {}).get("publication", current.pk) if current and mart in there else None
        found[mart] = {"because": because, "publication": earlier}
    return found
