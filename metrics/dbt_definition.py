"""What MRR is computed by, besides rows: the SQL, the switches that it reads, and the exchange rates.

Two builds with the same definition differ by their data alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from metrics.dbt_selection import descendants

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

MRR = "mrr_by_customer_month"
_SWITCH = re.compile(r"""\bvar\(\s*['"](\w+)['"]""")
#: Variables that are no choice of anybody: the build's moment, and what raw tables there are.
_NO_SWITCHES = {"as_of", "schema_prefix", "soft_deletes", "missing_tables"}


@dataclass(frozen=True)
class _Source:
    """What a manifest says of it, whatever the switches are: `switches` are the names and what the project sets them to."""

    manifest: Manifest
    sql: str
    rates: str
    switches: Mapping[str, Any]


_read: list[_Source] = []


def definition_of(manifest: Manifest, variables: Mapping[str, Any], project_dir: Path) -> dict[str, Any]:
    """{"sql": digest, "rates": digest, "switches": {name: value}} of MRR; {} when the project has no MRR."""
    if not _read or _read[0].manifest is not manifest:
        _read[:] = _of_manifest(manifest, project_dir)
    return (
        {
            "sql": _read[0].sql,
            "rates": _read[0].rates,
            "switches": {name: variables.get(name, default) for name, default in _read[0].switches.items()},
        }
        if _read
        else {}
    )


def _of_manifest(manifest: Manifest, project_dir: Path) -> list[_Source]:
    tops = [unique_id for unique_id, node in manifest.nodes.items() if node.name == MRR]
    above = {*tops, *descendants(tops, manifest.parent_map)}  # the same walk, the other way
    nodes = [node for unique_id, node in sorted(manifest.nodes.items()) if unique_id in above]
    if not nodes:
        return []
    sql = [node.raw_code for node in nodes if node.resource_type == "model"] + _macros(manifest, nodes)
    rates = [node.checksum.checksum for node in nodes if node.resource_type == "seed"]
    defaults = yaml.safe_load((project_dir / "dbt_project.yml").read_text()).get("vars") or {}
    names = {name for text in sql for name in _SWITCH.findall(text)} - _NO_SWITCHES
    switches = {name: defaults.get(name) for name in sorted(names)}
    return [_Source(manifest, _digest(sql), _digest(rates), switches)]


def _macros(manifest: Manifest, nodes: Iterable[Any]) -> list[str]:
    """The project's own macros that these nodes use, directly or not, in all their dialects."""
    graph = {unique_id: macro.depends_on.macros for unique_id, macro in manifest.macros.items()}
    used: set[str] = set()
    for node in nodes:
        used |= {*node.depends_on.macros, *descendants(node.depends_on.macros, graph)}
    own = {
        macro.name: macro for macro in manifest.macros.values() if macro.package_name == manifest.metadata.project_name
    }
    wanted = {unique_id.rsplit(".", 1)[-1] for unique_id in used}
    return [own[name].macro_sql for name in sorted(own) if name in wanted or name.partition("__")[2] in wanted]


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]
