"""Which dbt target a warehouse is, and that its password goes the one way dbt keeps quiet about."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics.dbt_project import Location
from metrics.dbt_targets import target_of
from portal.failures import TerminalError

POSTGRES = "postgresql://portal:hunter%2222@db.example:5433/warehouse?sslmode=verify-full"


def test_a_password_travels_in_a_variable_that_dbt_hides(tmp_path: Path):
    location = Location(POSTGRES, tmp_path)
    assert location.environment["DBT_ENV_SECRET_POSTGRES_PASSWORD"] == 'hunter"22'
    others = {name: value for name, value in location.environment.items() if not name.startswith("DBT_ENV_SECRET_")}
    assert "hunter" not in f"{others} {location} {location.target} {location.target.identity} {location.arguments}"


def test_a_target_says_where_relations_are(tmp_path: Path):
    assert target_of(POSTGRES).database == "warehouse"
    assert target_of("bigquery://acme/US").database == "acme"
    assert target_of(f"duckdb:///{tmp_path}/w.duckdb").database == "w"


def test_the_limits_of_bigquery_reach_its_profile():
    environment = target_of("bigquery://acme/US?maximum_gb=3").environment
    assert environment["DBT_BIGQUERY_LOCATION"] == "US"
    assert environment["DBT_BIGQUERY_MAXIMUM_BYTES"] == "3000000000"


def test_a_file_that_was_made_anew_is_another_warehouse(tmp_path: Path):
    path = tmp_path / "w.duckdb"
    path.touch()
    before = target_of(f"duckdb:///{path}").identity
    (tmp_path / "new").touch()
    (tmp_path / "new").replace(path)
    assert target_of(f"duckdb:///{path}").identity != before


def test_another_kind_of_warehouse_is_refused():
    with pytest.raises(TerminalError, match="of the kind “mysql”"):
        target_of("mysql://portal:hunter22@db/warehouse")
