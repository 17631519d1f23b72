"""How tables that grow lie in BigQuery: by months, sorted by what is asked for. Elsewhere nothing is said about it.

That the tables come out like that is looked up in `test_three_warehouses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from metrics import dbt_project

pytestmark = pytest.mark.slow

GROWING = {
    "mrr_events",
    "deals",
    "pull_requests",
    "conversations_daily",
    "slack_activity_daily",
    "int_sales__deals",
    "int_sales__deals_valued",
    "int_sales__deals_by_scope",
    "int_sales__deal_stays",
    "int_support__conversations",
    "int_support__state_changes",
    "int_support__events",
    "int_slack__posts",
    "int_github__pull_request_reviews_summed",
    "int_github__pull_request_commits_summed",
}
Models = Mapping[str, Any]


def models_for(url: str, folder: Path) -> Models:
    nodes = dbt_project.parsed(dbt_project.Location(url, folder)).nodes.values()
    return {node.name: node for node in nodes if node.resource_type == "model"}


@pytest.fixture(scope="module")
def in_bigquery(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return models_for("bigquery://test-project/EU", tmp_path_factory.mktemp("layout"))


def test_tables_that_grow_are_parted_by_month_within_what_bigquery_allows(in_bigquery: Models) -> None:
    parted = {name: node for name, node in in_bigquery.items() if node.config.get("partition_by")}
    assert parted.keys() >= GROWING
    for name, node in parted.items():
        by, cluster_by = node.config.get("partition_by"), node.config.get("cluster_by")
        # Days would be more than one job may write to after eleven years, and more than a table may have after 27.
        assert by["granularity"] == "month", name
        assert {by["field"], *cluster_by} <= node.columns.keys(), name
        assert 1 <= len(cluster_by) <= 4, name
        # Whoever asks without a month is answered: the whole table is read.
        assert not node.config.get("require_partition_filter"), name
        assert node.config.materialized != "view", name


def test_what_is_not_bigquery_is_told_nothing(tmp_path: Path) -> None:
    """dbt-duckdb has a setting of the same name, for other shapes of it."""
    models = models_for(f"duckdb:///{tmp_path}/w.duckdb", tmp_path)
    told = [name for name, node in models.items() if node.config.get("partition_by") or node.config.get("cluster_by")]
    assert told == []
