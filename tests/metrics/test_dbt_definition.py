"""What MRR is computed by, besides rows: only what MRR reads counts."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest

from metrics import dbt_project
from metrics.dbt_definition import definition_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("definition")
    return dbt_project.Location(f"duckdb:///{folder / 'none.duckdb'}", folder)


@pytest.fixture(scope="module")
def manifest(location):
    return dbt_project.parsed(location)


def with_other(manifest, kind, name, **values):
    """The manifest with one node or macro that is otherwise."""
    known = getattr(manifest, kind)
    (key,) = [key for key, one in known.items() if one.name == name]
    other, one = copy.copy(manifest), copy.copy(known[key])
    for field, value in values.items():
        setattr(one, field, value)
    other.parent_map = manifest.parent_map  # dbt adds it after parsing, so that a copy has none
    setattr(other, kind, {**known, key: one})
    return other


def test_the_switches_are_those_that_mrr_reads(manifest, location):
    switches = definition_of(manifest, {"past_due_days": 45, "as_of": "2026-01-01"}, location.project_dir)["switches"]
    assert switches == {
        "company_timezone": "UTC",
        "mrr_discounts": "recurring",
        "past_due_days": 45,
        "paused_is_churn": False,
        "reporting_currency": "usd",
    }


def test_only_sql_that_mrr_is_made_by_changes_the_definition(manifest, location):
    plain = definition_of(manifest, {}, location.project_dir)
    for name, is_other in (("int_stripe__item_evidence", True), ("active_usage", False)):
        found = definition_of(with_other(manifest, "nodes", name, raw_code="select 1"), {}, location.project_dir)
        assert (found["sql"] != plain["sql"]) == is_other, name
    macros = with_other(manifest, "macros", "default__local_date", macro_sql="other")
    assert definition_of(macros, {}, location.project_dir)["sql"] != plain["sql"]


def test_exchange_rates_are_told_apart_from_sql(manifest, location):
    plain = definition_of(manifest, {}, location.project_dir)
    (seed,) = [node for node in manifest.nodes.values() if node.name == "fx_rates"]
    checksum = dataclasses.replace(seed.checksum, checksum="other")
    found = definition_of(with_other(manifest, "nodes", "fx_rates", checksum=checksum), {}, location.project_dir)
    assert (found["sql"] == plain["sql"], found["rates"] == plain["rates"]) == (True, False)
