"""What the project says about raw tables that some can do without is true of its own graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics import dbt_project
from metrics.dbt_selection import descendants

pytestmark = pytest.mark.slow


def test_who_can_do_without_a_table_exists_reads_it_and_reads_it_as_optional(tmp_path: Path) -> None:
    location = dbt_project.Location(f"duckdb:///{tmp_path}/warehouse.duckdb", tmp_path / "dbt")
    manifest = dbt_project.parsed(location)
    checked = 0
    for unique_id, source in manifest.sources.items():
        coping = source.meta.get("optional_for") or ()
        below = {name.rsplit(".", 1)[-1] for name in descendants([unique_id], manifest.child_map)}
        assert set(coping) <= below, source.name
        if coping:
            readers = [name for name in manifest.child_map[unique_id] if name.startswith("model.")]
            assert all("optional_source(" in manifest.nodes[name].raw_code for name in readers), source.name
            checked += 1
    assert checked > 10
