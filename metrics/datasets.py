"""What each build leaves behind about datasets: which there are, what reads what, and how each of them fared.

Pages ask these rows; they never open the manifest for a graph, nor the file that workers write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model
from django.utils import timezone

from metrics.dbt_types import BuildOutcome, NodeOutcome
from metrics.manifest import DatasetDoc, ProjectDoc
from metrics.models import Build, Dataset, Exposure
from portal.text import listed
from sources.models import Source, Stream

_DESCRIBED = (
    "unique_id",
    "layer",
    "is_view",
    "description",
    "grain",
    "owner",
    "columns",
    "source_id",
    "stream_id",
)
_BUILT = ("built_at", "built_by_id", "seconds", "rows", "outcome", "reason", "tried_by_id")


def record(build: Build, outcome: BuildOutcome, project: ProjectDoc) -> None:
    """Bring the rows in line with the project and with what this build did. The caller holds the transaction.

    An empty project (nobody could read it) changes nothing: unknown is not gone.
    """
    if not project.datasets:
        return
    rows = _describe(project)
    _record_outcome(build, outcome, project, rows)
    _write_edges(Dataset.reads.through, "from_dataset_id", "to_dataset_id", _edges(project, rows))
    exposures = _describe_exposures(project)
    reads = {
        (exposures[one.name].pk, rows[name].pk) for one in project.exposures for name in one.upstream if name in rows
    }
    _write_edges(Exposure.reads.through, "exposure_id", "dataset_id", reads)


# --- what there is ----------------------------------------------------------------------------------------------------
def _describe(project: ProjectDoc) -> dict[str, Dataset]:
    """Every dataset by name, saved as the project describes it; those it no longer has are deleted."""
    rows = {row.name: row for row in Dataset.objects.all()}
    gone = [rows.pop(name).pk for name in set(rows) - set(project.datasets)]
    Dataset.objects.filter(pk__in=gone).delete()
    sources = {source.dataset: source.pk for source in Source.objects.only("slug")}
    streams = {(source, name): pk for pk, source, name in Stream.objects.values_list("pk", "source_id", "name")}
    changed = []
    for name, doc in project.datasets.items():
        row = rows.setdefault(name, Dataset(name=name))
        schema, _, table = name.partition(".")
        source = sources.get(schema) if doc.layer == "raw" else None
        told = {
            **_described(doc),
            "source_id": source,
            "stream_id": streams.get((source, table)) if source else None,
        }
        if row.pk is None or any(getattr(row, field) != value for field, value in told.items()):
            for field, value in told.items():
                setattr(row, field, value)
            changed.append(row)
    Dataset.objects.bulk_create([row for row in changed if row.pk is None])
    Dataset.objects.bulk_update([row for row in changed if row.pk is not None], _DESCRIBED)
    return rows


def _described(doc: DatasetDoc) -> dict[str, Any]:
    return {
        "unique_id": doc.unique_id[:255],
        "layer": doc.layer,
        "is_view": doc.is_view,
        "description": doc.description,
        "grain": doc.grain[:255],
        "owner": doc.owner[:255],
        "columns": [{"name": column.name, "description": column.description} for column in doc.columns],
    }


def _describe_exposures(project: ProjectDoc) -> dict[str, Exposure]:
    rows = {row.name: row for row in Exposure.objects.all()}
    gone = [rows.pop(name).pk for name in set(rows) - {one.name for one in project.exposures}]
    Exposure.objects.filter(pk__in=gone).delete()
    for one in project.exposures:
        row = rows.setdefault(one.name, Exposure(name=one.name))
        told = {"label": one.label, "kind": one.kind, "description": one.description, "owner": one.owner}
        if row.pk is None or any(getattr(row, field) != value for field, value in told.items()):
            for field, value in told.items():
                setattr(row, field, value)
            row.save()
    return rows


def _edges(project: ProjectDoc, rows: Mapping[str, Dataset]) -> set[tuple[int, int]]:
    return {
        (rows[name].pk, rows[parent].pk)
        for name, doc in project.datasets.items()
        for parent in doc.upstream
        if parent in rows
    }


def _write_edges(through: type[Model], left: str, right: str, wanted: set[tuple[int, int]]) -> None:
    """Make the rows of a many-to-many table these; what is there already stays."""
    there = {(one[left], one[right]): one["pk"] for one in through._default_manager.values("pk", left, right)}
    through._default_manager.filter(pk__in=[pk for edge, pk in there.items() if edge not in wanted]).delete()
    through._default_manager.bulk_create(
        through(**{left: child, right: parent}) for child, parent in sorted(wanted - set(there))
    )


# --- how it fared -----------------------------------------------------------------------------------------------------
def _record_outcome(build: Build, outcome: BuildOutcome, project: ProjectDoc, rows: Mapping[str, Dataset]) -> None:
    now = timezone.now()
    by_id = {row.unique_id: row for row in rows.values()}
    nodes = {node.unique_id: node for node in outcome.nodes}
    touched = []
    for unique_id, node in nodes.items():
        row = by_id.get(unique_id)
        if row is None:  # a test
            continue
        touched.append(row)
        row.tried_by = build
        if node.status == "success":
            row.outcome, row.reason = Dataset.Outcome.BUILT, ""
            row.built_at, row.built_by, row.seconds, row.rows = now, build, node.seconds, node.rows
        elif node.is_bad:
            row.outcome, row.reason = Dataset.Outcome.FAILED, node.message or "dbt did not say why."
        else:
            row.outcome, row.reason = Dataset.Outcome.SKIPPED, _why_skipped(row.name, project, nodes)
    for unique_id, reason in outcome.unbuilt.items():
        row = by_id.get(unique_id)
        if row is not None:
            touched.append(row)
            row.outcome, row.reason, row.tried_by = Dataset.Outcome.LEFT_OUT, f"It {reason}", build
    Dataset.objects.bulk_update(touched, _BUILT, batch_size=200)


def _why_skipped(name: str, project: ProjectDoc, nodes: Mapping[str, NodeOutcome]) -> str:
    """dbt skips what stands below something broken: say below what."""
    above = project.upstream(name)
    broken = sorted(other for other in above if (node := nodes.get(project.datasets[other].unique_id)) and node.is_bad)
    if broken:
        return f"It builds on {_named(broken)}, which could not be built."
    failing = sorted(
        {
            test.relation
            for test in project.tests.values()
            if test.relation in above and (node := nodes.get(test.unique_id)) and node.is_bad
        }
    )
    if failing:
        return f"It builds on {_named(failing)}, where a rule does not hold."
    return "What it builds on could not be built."


def _named(names: Iterable[str]) -> str:
    return listed(list(names), most=3)
