"""What the dbt project says about its datasets: descriptions, owners, columns, what reads what. For pages; no dbt.

dbt writes the manifest when it parses the project (`metrics.dbt_project`); here it is only read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from metrics.dbt_selection import descendants
from portal.warehouse.names import MART, spoken

# In the folder of the builds, where `metrics.dbt_project` puts a whole one in one step.
FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class ColumnDoc:
    name: str
    description: str


@dataclass(frozen=True)
class DatasetDoc:
    """One relation of the warehouse: a raw table, a dbt model, a seed or a snapshot.

    `kind`: source, model, seed, snapshot. `grain`: what one row is. `upstream`: relations it reads directly.
    `is_view`: it keeps no rows of its own.
    """

    unique_id: str
    relation: str  # "mart_finance.mrr_monthly"
    name: str
    kind: str
    description: str
    owner: str
    grain: str
    columns: tuple[ColumnDoc, ...]
    tags: tuple[str, ...]
    upstream: tuple[str, ...]
    is_view: bool = False

    @property
    def layer(self) -> str:
        """raw, seed, snapshot, staging, intermediate or mart."""
        if self.kind != "model":
            return "raw" if self.kind == "source" else self.kind
        schema = self.relation.partition(".")[0]
        if schema.startswith(MART):
            return "mart"
        return "staging" if schema == "staging" else "intermediate"


@dataclass(frozen=True)
class DataTestDoc:
    """A data test of the dbt project.

    `kind`: the generic test ("not_null"), "" for one that is SQL of its own. `arguments`: what it was given in the yml.
    `relation`: what it is about; `upstream`: all that it reads. `only_warns`: dbt's severity is warn.
    """

    unique_id: str
    name: str
    description: str
    kind: str
    arguments: Mapping[str, Any]
    relation: str
    upstream: tuple[str, ...]
    only_warns: bool
    owner: str
    file: str
    sql: str


@dataclass(frozen=True)
class ExposureDoc:
    """Something outside dbt that reads datasets. `kind` is dbt's: dashboard, analysis, application, notebook, ml."""

    name: str
    label: str
    description: str
    owner: str
    upstream: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class ProjectDoc:
    datasets: Mapping[str, DatasetDoc] = field(default_factory=dict)  # by relation
    exposures: tuple[ExposureDoc, ...] = ()
    tests: Mapping[str, DataTestDoc] = field(default_factory=dict)  # by unique id

    def marts(self) -> list[DatasetDoc]:
        return [dataset for name, dataset in sorted(self.datasets.items()) if name.startswith(MART)]

    def downstream(self, relation: str) -> set[str]:
        """Every relation that is computed from `relation`, directly or not."""
        return descendants([relation], self.readers)

    def upstream(self, relation: str) -> set[str]:
        """Every relation from which `relation` is computed, directly or not."""
        return descendants([relation], {name: dataset.upstream for name, dataset in self.datasets.items()})

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """Relation → those that read it directly."""
        found: dict[str, list[str]] = {}
        for name, dataset in self.datasets.items():
            for parent in dataset.upstream:
                found.setdefault(parent, []).append(name)
        return found


def read_manifest(path: Path) -> ProjectDoc:
    """The project at `path` (dbt's manifest.json); empty when nothing was built yet. Read again when it changes."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return ProjectDoc()
    return _read(str(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2)
def _read(path: str, _modified: int, _size: int) -> ProjectDoc:
    content = json.loads(Path(path).read_bytes())
    found = {
        unique_id: node
        for unique_id, node in {**content["nodes"], **content["sources"]}.items()
        if node["resource_type"] in {"model", "seed", "snapshot", "source"}
    }
    relations = {unique_id: _relation(node) for unique_id, node in found.items()}
    datasets = {relations[unique_id]: _dataset(node, relations) for unique_id, node in found.items()}
    exposures = tuple(
        ExposureDoc(
            name=exposure["name"],
            label=exposure.get("label") or exposure["name"],
            description=exposure["description"].strip(),
            owner=exposure["owner"].get("name") or "",
            upstream=_upstream(exposure, relations),
            kind=exposure.get("type", ""),
        )
        for exposure in content["exposures"].values()
    )
    tests = {
        unique_id: _test(node, relations, datasets)
        for unique_id, node in content["nodes"].items()
        if node["resource_type"] == "test"
    }
    return ProjectDoc(datasets, exposures, tests)


def _relation(node: Mapping[str, Any]) -> str:
    return f"{spoken(node['schema'])}.{node.get('identifier') or node.get('alias') or node['name']}"


def _upstream(node: Mapping[str, Any], relations: Mapping[str, str]) -> tuple[str, ...]:
    parents = node.get("depends_on", {}).get("nodes", [])
    return tuple(sorted(relations[parent] for parent in parents if parent in relations))


def _meta(node: Mapping[str, Any]) -> dict[str, Any]:
    # A table of a source inherits what its source says only in the configuration.
    return {**node.get("config", {}).get("meta", {}), **node.get("meta", {})}


def _dataset(node: Mapping[str, Any], relations: Mapping[str, str]) -> DatasetDoc:
    meta = _meta(node)
    return DatasetDoc(
        unique_id=node["unique_id"],
        relation=_relation(node),
        name=node["name"],
        kind=node["resource_type"],
        description=node["description"].strip(),
        owner=str(meta.get("owner", "")),
        grain=str(meta.get("grain", "")),
        columns=tuple(ColumnDoc(column["name"], column["description"]) for column in node["columns"].values()),
        tags=tuple(node.get("tags", ())),
        upstream=_upstream(node, relations),
        is_view=node.get("config", {}).get("materialized") == "view",
    )


def _test(node: Mapping[str, Any], relations: Mapping[str, str], datasets: Mapping[str, DatasetDoc]) -> DataTestDoc:
    generic = node.get("test_metadata") or {}
    upstream = _upstream(node, relations)
    relation = relations.get(node.get("attached_node") or "") or (upstream[0] if upstream else "")
    about = datasets.get(relation)
    return DataTestDoc(
        unique_id=node["unique_id"],
        name=node["name"],
        description=" ".join((node.get("description") or "").split()),
        kind=generic.get("name", ""),
        # `model` is how dbt writes down what the test is attached to.
        arguments={name: value for name, value in generic.get("kwargs", {}).items() if name != "model"},
        relation=relation,
        upstream=upstream,
        only_warns=str(node.get("config", {}).get("severity", "")).lower() == "warn",
        owner=str(_meta(node).get("owner", "")) or (about.owner if about else ""),
        file=node.get("original_file_path", ""),
        sql="" if generic else node.get("raw_code", "").strip(),
    )
