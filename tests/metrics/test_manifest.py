from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from metrics import dbt_project
from metrics.manifest import ProjectDoc, read_manifest


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectDoc:
    folder = tmp_path_factory.mktemp("manifest")
    location = dbt_project.Location(f"duckdb:///{folder}/warehouse.duckdb", folder / "dbt")
    dbt_project.parsed(location)
    return read_manifest(location.manifest_path)


def test_a_project_that_was_never_built_is_empty(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "manifest.json") == ProjectDoc()


def test_a_manifest_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    empty: dict[str, dict[str, object]] = {"nodes": {}, "sources": {}, "exposures": {}}
    path.write_text(json.dumps(empty))
    assert read_manifest(path).datasets == {}
    table = {"unique_id": "source.p.raw.t", "resource_type": "source", "schema": "raw", "identifier": "t", "name": "t"}
    empty["sources"]["source.p.raw.t"] = {**table, "description": "Rows. ", "columns": {}}
    path.write_text(json.dumps(empty))
    assert read_manifest(path).datasets["raw.t"].description == "Rows."


@pytest.mark.slow
def test_every_dataset_says_what_it_is_and_who_owns_it(project: ProjectDoc) -> None:
    files = {
        kind: list(dbt_project.PROJECT_DIR.rglob(kind)) for kind in ("models/**/*.sql", "seeds/*.csv", "*__sources.yml")
    }
    described = [yaml.safe_load(file.read_text())["sources"][0]["tables"] for file in files.pop("*__sources.yml")]
    described += [
        yaml.safe_load(file.read_text())["snapshots"] for file in dbt_project.PROJECT_DIR.glob("snapshots/*.yml")
    ]
    assert len(project.datasets) == sum(map(len, (*files.values(), *described)))
    for name, dataset in project.datasets.items():
        assert dataset.description, name
        assert dataset.owner, name
        assert dataset.columns, name
        assert all(column.description for column in dataset.columns), name
        assert dataset.grain or dataset.kind == "source", name


@pytest.mark.slow
def test_lineage_leads_from_a_raw_table_to_the_question_that_people_ask(project: ProjectDoc) -> None:
    below = project.downstream("raw_stripe.invoice_lines")
    assert {"mart_finance.mrr_events", "mart_finance.mrr_monthly"} <= below
    assert "mart_engineering.pull_requests" not in below
    waterfall = next(exposure for exposure in project.exposures if exposure.name == "mrr_waterfall")
    assert waterfall.upstream == ("mart_finance.mrr_events",)


@pytest.mark.slow
def test_every_data_test_says_what_it_is_about_and_who_answers_for_it(project: ProjectDoc) -> None:
    assert len(project.tests) > 100
    for test in project.tests.values():
        assert test.relation in project.datasets, test.name
        assert test.relation in test.upstream, test.name
        assert test.owner, test.name
        assert bool(test.kind) != bool(test.sql), test.name
    rates = next(test for test in project.tests.values() if test.name == "exchange_rates_in_use_are_real_and_recent")
    assert (rates.only_warns, rates.relation) == (True, "intermediate.int_mrr__item_timeline")
    assert project.upstream("mart_finance.mrr_waterfall") > {"raw_stripe.invoices", "staging.stg_stripe__invoices"}


@pytest.mark.slow
def test_marts_are_listed(project: ProjectDoc) -> None:
    files = (dbt_project.PROJECT_DIR / "models" / "marts").glob("*/*.sql")
    listed = [mart.relation for mart in project.marts()]
    assert listed == sorted(f"mart_{file.parent.name}.{file.stem}" for file in files)
    assert "mart_finance.mrr_monthly" in listed


@pytest.mark.slow
def test_every_column_of_a_mart_is_described_and_every_described_column_exists(tmp_path: Path) -> None:
    from tests.dbt.helpers import Warehouse, problems

    warehouse = Warehouse(tmp_path, vars={"as_of": "2026-01-01 00:00:00"})
    assert problems(warehouse.build()) == []
    built: dict[str, set[str]] = {}
    for relation, column in warehouse.rows(
        "select schema_name || '.' || table_name, column_name from duckdb_columns()"
    ):
        built.setdefault(relation, set()).add(column)
    project = read_manifest(warehouse.work_dir / "manifest.json")
    for name, dataset in project.datasets.items():
        described = {column.name for column in dataset.columns}
        # What every raw table has needs no description, and in a sheet people write what they like.
        extra = {"_extra", "_dlt_load_id"} if dataset.kind == "source" else set()
        extra |= built[name] - described if name.startswith("raw_google_sheets.") else set()
        # A snapshot has the columns of what it keeps.
        extra |= built[name] - described if dataset.kind == "snapshot" else set()
        assert built[name] - extra <= described <= built[name], name
