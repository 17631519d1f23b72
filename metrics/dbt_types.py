"""What goes into a dbt build and what comes out: plain data, so that nobody needs dbt to speak of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal.failures import PortalError


@dataclass(frozen=True)
class BuildRequest:
    """One dbt build.

    `changed`: raw tables ("raw_stripe.invoices") whose downstream is to be built; () builds everything.
    `raw_tables`: those that exist; what needs another one is left out, and said so.
    `soft_deletes`: those of them whose deleted rows stay, with `_deleted_at`; staging leaves such rows out.
    `without_tests`: the unique ids of tests that a person has switched off.
    """

    changed: tuple[str, ...]
    raw_tables: frozenset[str]
    warehouse_url: str
    work_dir: Path
    soft_deletes: frozenset[str] = frozenset()
    vars: Mapping[str, Any] = field(default_factory=dict)
    full_refresh: bool = False
    without_tests: frozenset[str] = frozenset()


# The kind of failure of a build in which dbt models broke and the others were built.
MODEL_FAILED = "dbt_model"

# dbt's words for a dbt model that could not be built and for a test that does not hold.
BAD_STATUSES = ("error", "fail", "runtime error")


@dataclass(frozen=True)
class NodeOutcome:
    """One dbt model, seed, snapshot or test. `status` is dbt's: success, error, skipped, pass, fail, warn."""

    unique_id: str
    name: str
    resource_type: str
    status: str
    relation: str | None = None  # "schema.table" of what it made, or of what a test looked at
    seconds: float = 0.0
    rows: int | None = None
    message: str = ""

    @property
    def is_bad(self) -> bool:
        return self.status in BAD_STATUSES


@dataclass
class BuildOutcome:
    """What dbt did. `error` is set when a dbt model could not be built (a failing test is a result, not an error).

    `left_out`: sentences about marts. `unbuilt`: the unique id of all that was left out → why, in words.
    """

    nodes: list[NodeOutcome] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unbuilt: Mapping[str, str] = field(default_factory=dict)
    #: What MRR was computed by besides the rows (`metrics.dbt_definition`).
    definition: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    error: PortalError | None = None

    @property
    def models(self) -> int:
        return sum(node.resource_type == "model" and node.status == "success" for node in self.nodes)

    @property
    def tests(self) -> int:
        return sum(node.resource_type == "test" and node.status != "skipped" for node in self.nodes)

    @property
    def failing_tests(self) -> list[NodeOutcome]:
        return [node for node in self.nodes if node.resource_type == "test" and node.is_bad]
