"""Every dbt unit test, one line each in pytest's output: the rules of the metrics, tested on SQL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from metrics import dbt_project
from tests.dbt.helpers import Warehouse, problems

NAMES = sorted(
    f"{test['model']}::{test['name']}"
    for file in (dbt_project.PROJECT_DIR / "models").rglob("*.yml")
    for test in (yaml.safe_load(file.read_text()) or {}).get("unit_tests", [])
)


@pytest.fixture(scope="session")
def unit_test_results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """dbt's verdict by test: "" is a pass, else what differed."""
    folder: Path = tmp_path_factory.mktemp("unit-tests")
    warehouse = Warehouse(folder, vars={"as_of": "2026-01-01 00:00:00"})
    # dbt reads the types of the columns from relations that exist.
    assert problems(warehouse.build()) == []
    location = dbt_project.Location(f"duckdb:///{warehouse.path}", warehouse.work_dir)
    result = dbt_project.invoke(
        ["test", "--select", "test_type:unit", "--no-write-json"], location, dbt_project.parsed(location)
    )
    assert result.result is not None, result.exception
    return {
        "::".join(each.node.unique_id.split(".")[2:4]): "" if str(each.status) == "pass" else str(each.message)
        for each in result.result.results
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_dbt_unit_test(name: str, unit_test_results: Mapping[str, str]) -> None:
    assert unit_test_results[name] == ""


@pytest.mark.slow
def test_no_dbt_unit_test_is_left_out(unit_test_results: Mapping[str, str]) -> None:
    assert sorted(unit_test_results) == NAMES
    assert len(NAMES) > 50
