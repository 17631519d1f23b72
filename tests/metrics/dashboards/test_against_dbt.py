"""Dashboards and the dbt project know the same marts, columns and words."""

from __future__ import annotations

import pytest

from metrics import dbt_project
from metrics.dashboards.choices import read_query
from metrics.dashboards.definitions import MISSING
from metrics.dashboards.published import Published
from metrics.dashboards.registry import DASHBOARDS
from metrics.manifest import ProjectDoc, read_manifest
from tests.metrics.dashboards.published import MART_COLUMNS, publish

pytestmark = pytest.mark.slow

KEYS = pytest.mark.parametrize("key", DASHBOARDS)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectDoc:
    folder = tmp_path_factory.mktemp("manifest")
    location = dbt_project.Location(f"duckdb:///{folder}/warehouse.duckdb", folder / "dbt")
    dbt_project.parsed(location)
    return read_manifest(location.manifest_path)


@KEYS
def test_every_number_is_defined_by_dbt(project, key):
    publish("a.duckdb")
    board = DASHBOARDS[key].read(Published("a.duckdb"), read_query(""), project)
    shown = [*board.tiles, *board.sections]
    assert all(one.definitions for one in shown)
    undefined = {about.source for one in shown for about in one.definitions if about.text == MISSING}
    assert undefined == set()


@KEYS
def test_an_exposure_names_what_the_dashboard_reads(project, key):
    exposure = next(one for one in project.exposures if one.name == DASHBOARDS[key].exposure)
    assert set(exposure.upstream) == set(DASHBOARDS[key].marts)
    assert exposure.label == f"Dashboard: {DASHBOARDS[key].title}"


@pytest.mark.parametrize("mart", MART_COLUMNS)
def test_the_tests_publish_what_dbt_builds(project, mart):
    built = {column.name for column in project.datasets[f"mart_finance.{mart}"].columns}
    columns = MART_COLUMNS[mart].replace("decimal(18,2)", "money").split(",")
    assert {column.strip().split(" ")[0] for column in columns} <= built
