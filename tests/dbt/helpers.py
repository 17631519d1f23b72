"""A warehouse for one test, the build that fills it, and answers from it."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from metrics import dbt_project
from metrics.dbt_adapter import STATE_FILE, build
from metrics.dbt_types import BuildOutcome, BuildRequest
from tests.dbt.raw_schema import RAW_SCHEMA, create_raw_tables, insert_rows

STRIPE = tuple(table for table in RAW_SCHEMA if table.startswith("raw_stripe."))


@dataclass
class Warehouse:
    """A DuckDB file with raw tables. `vars` go into every build; give `as_of` to stop the clock."""

    folder: Path
    tables: tuple[str, ...] = tuple(RAW_SCHEMA)
    vars: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        create_raw_tables(self.path, self.tables)

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def work_dir(self) -> Path:
        return self.folder / "dbt"

    def copy(self, folder: Path) -> Warehouse:
        """The same rows and all that was built of them, as if it had been built in `folder`: a build takes seconds."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        made = copy.copy(self)  # its tables are there already
        made.folder, made.vars = folder, dict(self.vars)
        state = made.work_dir / STATE_FILE
        if state.exists():
            identity = dbt_project.Location(f"duckdb:///{made.path}", made.work_dir).target.identity
            state.write_text(json.dumps({**json.loads(state.read_text()), "warehouse": identity}))
        return made

    def insert(self, **rows: list[dict[str, Any]]) -> None:
        """Rows by table, `stripe__invoices=[…]` for raw_stripe.invoices."""
        insert_rows(self.path, {f"raw_{name.replace('__', '.')}": records for name, records in rows.items()})

    def request(self, *changed: str, **options: Any) -> BuildRequest:
        values = {"raw_tables": frozenset(self.tables), "vars": self.vars, **options}
        return BuildRequest(changed=changed, warehouse_url=f"duckdb:///{self.path}", work_dir=self.work_dir, **values)

    def build(self, *changed: str, **options: Any) -> BuildOutcome:
        return build(self.request(*changed, **options))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            connection.execute(sql)


def every_rule(url: str, work_dir: Path) -> frozenset[str]:
    """For `BuildRequest.without_tests`, where only rows are compared: of BigQuery's emulator they take half of a build."""
    nodes = dbt_project.parsed(dbt_project.Location(url, work_dir)).nodes.values()
    return frozenset(node.unique_id for node in nodes if node.resource_type == "test")


def problems(outcome: BuildOutcome) -> list[str]:
    """What went wrong, for an assertion to show; [] when nothing did."""
    found = [f"{node.name}: {node.message}" for node in outcome.nodes if node.is_bad or node.status == "skipped"]
    return found + ([outcome.error.sentence, outcome.error.detail] if outcome.error else [])
