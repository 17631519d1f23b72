"""What the dbt project says about its datasets: descriptions, owners, columns, what reads what. For pages; no dbt.

dbt writes the manifest when it parses the project (`metrics.dbt_project`); here it is only read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from portal.warehouse.names import spoken


@dataclass(frozen=True)
class ColumnDoc:
    name: str
    description: str


@dataclass(frozen=True)
class DatasetDoc:
    """One relation of the warehouse: a raw table, a dbt model, a seed or a snapshot.

    `kind`: source, model, seed, snapshot. `grain`: what one row is. `upstream`: relations it reads directly.
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


@dataclass(frozen=True)
class ExposureDoc:
    """Something outside dbt that reads datasets: a question, a dashboard, a check."""

    name: str
    label: str
    description: str
    owner: str
    upstream: tuple[str, ...]


@dataclass(frozen=True)
class ProjectDoc:
    datasets: Mapping[str, DatasetDoc] = field(default_factory=dict)  # by relation
    exposures: tuple[ExposureDoc, ...] = ()

    def marts(self) -> list[DatasetDoc]:
        return [dataset for name, dataset in sorted(self.datasets.items()) if name.startswith("mart_")]

    def downstream(self, relation: str) -> set[str]:
        """Every relation that is computed from `relation`, directly or not."""
        found: set[str] = set()
        waiting = [relation]
        while waiting:
            parent = waiting.pop()
            for name, dataset in self.datasets.items():
                if parent in dataset.upstream and name not in found:
                    found.add(name)
                    waiting.append(name)
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
        )
        for exposure in content["exposures"].values()
    )
    return ProjectDoc(datasets, exposures)


def _relation(node: Mapping[str, Any]) -> str:
    return f"{spoken(node['schema'])}.{node.get('identifier') or node.get('alias') or node['name']}"


def _upstream(node: Mapping[str, Any], relations: Mapping[str, str]) -> tuple[str, ...]:
    parents = node.get("depends_on", {}).get("nodes", [])
    return tuple(sorted(relations[parent] for parent in parents if parent in relations))


def _dataset(node: Mapping[str, Any], relations: Mapping[str, str]) -> DatasetDoc:
    # A table of a source inherits what its source says only in the configuration.
    meta = {**node.get("config", {}).get("meta", {}), **node.get("meta", {})}
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
    )
