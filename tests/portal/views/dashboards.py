"""Portals with dashboards, for tests of their pages."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from django.conf import settings

from tests import scenarios
from tests.metrics.dashboards.published import MART_COLUMNS, publish

MARTS = [f"mart_finance.{mart}" for mart in MART_COLUMNS]


def with_dashboards(*, without: Collection[str] = (), months: int = 26) -> scenarios.Portal:
    """A healthy portal whose publication has the marts of the dashboards."""
    return _with_marts(scenarios.healthy(), without, months)


def held() -> scenarios.Portal:
    """The same, but Stripe fails and a newer build was refused."""
    return _with_marts(scenarios.troubled(), (), 26)


def _with_marts(portal: scenarios.Portal, without: Collection[str], months: int) -> scenarios.Portal:
    location = "00000001.duckdb"
    publish(location, without=without, months=months)
    for publication in type(portal.publication).objects.published():
        publication.build.feeds = {"raw_stripe": MARTS}
        publication.build.save()
    return portal


def documented() -> Path:
    """A manifest that describes the marts, as dbt would write it."""
    path = Path(settings.DATA_DIR) / "dbt" / "manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes = {}
    for mart, columns in MART_COLUMNS.items():
        names = [column.strip().split(" ")[0] for column in columns.replace("decimal(18,2)", "money").split(",")]
        nodes[f"model.portal.{mart}"] = {
            "unique_id": f"model.portal.{mart}",
            "resource_type": "model",
            "schema": "mart_finance",
            "name": mart,
            "description": f"What {mart} says, in the words of dbt.",
            "config": {"meta": {"owner": "finance", "grain": "month"}},
            "columns": {name: {"name": name, "description": f"What {name} of {mart} means."} for name in names},
        }
    path.write_text(json.dumps({"nodes": nodes, "sources": {}, "exposures": {}}))
    return path
