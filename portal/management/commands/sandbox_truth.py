"""The simulated company's true numbers, beside what this portal makes of its APIs. Exit 0 when all are equal, 1 when not.

A company of its own is simulated for 24 months and stands still; its eight sources are read through their real doors by
the real connectors into an empty warehouse, built and published. The portal's own data is not touched.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from metrics.dbt_types import BuildRequest
from portal.management.commands.demo_seed import CHOSEN, SOURCES
from portal.truth_questions import QUESTIONS, rate
from portal.truth_table import Answer, compare
from portal.warehouse.duckdb import DuckDBWarehouse
from sandbox import truth
from sandbox.company import Company
from sandbox.server import Sandbox
from sources import offers
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest, SyncMode
from sources.connectors.log import DELETED_AT
from sources.engines import engine_for, get_engine
from sources.engines.base import SyncRequest

EVERYTHING = 10_000_000  # rows


class Command(BaseCommand):
    help = "Show the simulated company's true numbers; with --compare, beside what the marts say."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--compare", action="store_true", help="Read, build and publish it, and compare every row.")
        parser.add_argument("--seed", type=int, default=1, help="Which company.")
        parser.add_argument("--scale", type=float, default=0.4, help="Its size; 1 is a company of 40 people.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = int(time.time()) // 3600 * 3600
        with tempfile.TemporaryDirectory(prefix="portal-truth-") as folder:
            place = Path(folder)
            with Sandbox.start(
                place / "sandbox",
                seed=options["seed"],
                scale=options["scale"],
                freeze=True,
                now=now,
                postgres=options["compare"],
            ) as sandbox:
                if not options["compare"]:
                    self._tell(sandbox.company)
                    return
                warehouse = DuckDBWarehouse(f"duckdb:///{place / 'warehouse' / 'warehouse.duckdb'}")
                self._read(sandbox, warehouse, place)
                location = self._build(sandbox.company, warehouse, place)
                answers = compare(
                    sandbox.company, lambda sql: warehouse.query(location, sql, limit=EVERYTHING).rows, QUESTIONS
                )
        self._table(answers)
        sys.exit(0 if all(answer.is_equal for answer in answers) else 1)

    def _tell(self, company: Company) -> None:
        self.stdout.write("month          MRR      new  expansion  contraction    churn  reactivated   fx  customers")
        for month in truth.monthly(company, rates=rate):
            self.stdout.write(
                f"{month.month:%Y-%m}  {month.mrr:>10,.2f}  {month.new_mrr:>9,.2f}  {month.expansion_mrr:>9,.2f}"
                f"  {month.contraction_mrr:>9,.2f}  {month.churned_mrr:>9,.2f}  {month.reactivated_mrr:>9,.2f}"
                f"  {month.fx_mrr:>8,.2f}  {month.customers:>5}"
            )

    def _read(self, sandbox: Sandbox, warehouse: DuckDBWarehouse, place: Path) -> None:
        """A first sync of every source, by the engines the portal would use."""
        from django.test.utils import override_settings

        with override_settings(WAREHOUSE_URL=f"duckdb:///{warehouse.path}"):
            for slug, endpoint in sandbox.endpoints().items():
                if slug not in SOURCES:
                    continue
                connector = get_connector(slug)
                values = {**endpoint, **CHOSEN.get(slug, {})}
                specs = connector.discover(values)
                request = SyncRequest(
                    source=slug,
                    connector=slug,
                    settings=values,
                    streams=tuple(
                        StreamRequest(
                            spec.name,
                            SyncMode(chosen["sync_mode"]),
                            cursor_field=chosen["cursor_field"],
                            primary_key=spec.primary_key,
                        )
                        for spec in specs
                        for chosen in [offers.suggested(spec)]
                    ),
                    dataset=f"raw_{slug}",
                    work_dir=place / "dlt" / slug,
                )
                began = time.monotonic()
                outcome = get_engine(engine_for(slug)).sync(request, lambda stream, rows: None)
                if failed := [each for each in outcome.streams if each.error is not None]:
                    raise CommandError(f"{slug}: {failed[0].name} could not be read: {failed[0].error}")
                rows = sum(outcome.rows.values())
                self.stdout.write(f"read   {slug:<13} {rows:>9,} rows  {time.monotonic() - began:.1f} s")

    def _build(self, company: Company, warehouse: DuckDBWarehouse, place: Path) -> str:
        from metrics.dbt_adapter import build

        now = dt.datetime.fromtimestamp(company.now, dt.UTC)
        with warehouse.writer():
            outcome = build(
                BuildRequest(
                    changed=(),
                    raw_tables=frozenset(warehouse.tables(schema_prefix="raw_")),
                    soft_deletes=frozenset(warehouse.tables_with(DELETED_AT, schema_prefix="raw_")),
                    warehouse_url=f"duckdb:///{warehouse.path}",
                    work_dir=place / "dbt",
                    vars={"as_of": f"{now:%Y-%m-%d %H:%M:%S}"},
                )
            )
        bad = [f"{node.name}: {node.message}" for node in outcome.nodes if node.is_bad]
        if outcome.error or bad:
            raise CommandError("\n".join([str(outcome.error or "A data test does not hold."), *bad]))
        self.stdout.write(f"build  {outcome.models} models, {outcome.tests} tests  {outcome.seconds:.1f} s\n\n")
        return warehouse.publish("truth")

    def _table(self, answers: list[Answer]) -> None:
        width = max(len(answer.question.name) for answer in answers)
        self.stdout.write(f"{'area':<12} {'number':<{width}}  true rows  different")
        for answer in answers:
            mark = "equal" if answer.is_equal else f"{answer.wrong:,} DIFFER" if answer.rows else "NOTHING TO COMPARE"
            self.stdout.write(f"{answer.question.area:<12} {answer.question.name:<{width}}  {answer.rows:>9,}  {mark}")
            for example in answer.examples:
                self.stdout.write(f"             {example}")
        equal = sum(answer.is_equal for answer in answers)
        self.stdout.write(f"\n{equal} of {len(answers)} equal to the cent.")
