"""A small dbt project as pages and checks see it.

raw_stripe.invoices  → staging.stg_invoices (view) → intermediate.int_mrr → mart_finance.mrr → Executive
raw_github.pulls     → staging.stg_pulls (view)    → mart_engineering.pull_requests
mart_finance.mrr     → mart_finance.plan           → Executive
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from metrics.dbt_types import BuildOutcome, NodeOutcome
from metrics.manifest import ColumnDoc, DatasetDoc, DataTestDoc, ExposureDoc, ProjectDoc

READS: Mapping[str, tuple[str, ...]] = {
    "raw_stripe.invoices": (),
    "raw_github.pulls": (),
    "staging.stg_invoices": ("raw_stripe.invoices",),
    "staging.stg_pulls": ("raw_github.pulls",),
    "intermediate.int_mrr": ("staging.stg_invoices",),
    "mart_finance.mrr": ("intermediate.int_mrr",),
    "mart_finance.plan": ("mart_finance.mrr",),
    "mart_engineering.pull_requests": ("staging.stg_pulls",),
}


def dataset(relation: str, **values: Any) -> DatasetDoc:
    is_raw = relation.startswith("raw_")
    name = relation.partition(".")[2]
    told: dict[str, Any] = {
        "unique_id": f"source.p.{relation}" if is_raw else f"model.p.{name}",
        "relation": relation,
        "name": name,
        "kind": "source" if is_raw else "model",
        "description": f"One row a thing of {name}.",
        "owner": "finance",
        "grain": "" if is_raw else "thing",
        "columns": (ColumnDoc("id", "Which thing it is."), ColumnDoc("amount", "What it is worth.")),
        "tags": (),
        "upstream": READS[relation],
        "is_view": relation.startswith("staging."),
    }
    return DatasetDoc(**{**told, **values})


def rule_doc(name: str = "mrr_adds_up", relation: str = "mart_finance.mrr", **values: Any) -> DataTestDoc:
    told: dict[str, Any] = {
        "unique_id": f"test.p.{name}",
        "name": name,
        "description": "",
        "kind": "",
        "arguments": {},
        "relation": relation,
        "upstream": (relation,),
        "only_warns": False,
        "owner": "finance",
        "file": f"tests/{name}.sql",
        "sql": "select 1 where false",
    }
    return DataTestDoc(**{**told, **values})


def project(*tests: DataTestDoc, without: tuple[str, ...] = ()) -> ProjectDoc:
    datasets = {relation: dataset(relation) for relation in READS if relation not in without}
    exposures = (
        ExposureDoc(
            "executive_dashboard",
            "Dashboard: Executive",
            "How much it is.",
            "Finance",
            ("mart_finance.mrr", "mart_finance.plan"),
            "dashboard",
        ),
    )
    return ProjectDoc(datasets, exposures, {test.unique_id: test for test in tests})


def built(**status: str) -> BuildOutcome:
    """A build of everything; status: dbt's word by name ("mrr"), for what was not a success."""
    nodes = []
    for relation in READS:
        if relation.startswith("raw_"):
            continue
        doc = dataset(relation)
        word = status.get(doc.name, "success")
        rows = None if doc.is_view or word != "success" else 7
        message = "Binder Error: no such column" if word == "error" else ""
        nodes.append(NodeOutcome(doc.unique_id, doc.name, "model", word, relation, 0.5, rows, message))
    touched = [node.relation for node in nodes if node.status == "success" and node.relation]
    return BuildOutcome(nodes=nodes, touched=touched, seconds=1.0)


def rule_ran(test: DataTestDoc, status: str, rows: int | None = None, message: str = "") -> NodeOutcome:
    return NodeOutcome(test.unique_id, test.name, "test", status, test.relation, 0.1, rows, message)


def with_nodes(outcome: BuildOutcome, *nodes: NodeOutcome) -> BuildOutcome:
    return replace(outcome, nodes=[*outcome.nodes, *nodes])
