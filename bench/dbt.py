"""How long a build takes: warm in a worker beside the `dbt build` command, and of a large company, whole and day by day.

    one source   everything downstream of Stripe, warm in this process ÷ `dbt build` for the same selection
    large        --lines invoice lines and --events usage events: the first build, then what a day of use brings,
                 then what a day of invoices brings; memory beside that of a quarter of the rows

Exit code 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.meter import Measured, measure
from bench.pipeline import _prepare_portal
from bench.world import company, prepare_environment

MONTHS = 50
USE, INVOICES = "raw_postgres.events", "raw_stripe.invoice_lines"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--events", type=int, default=20_000_000)
    options = parser.parse_args()
    folder = prepare_environment()
    import django

    django.setup()
    try:
        kept = _large(folder, options.lines, options.events)
        with company(folder, options.scale) as endpoints:
            kept += _one_source(folder, endpoints, options.repeat)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(kept) else 1


def _one_source(folder: Path, endpoints: object, repeat: int) -> list[bool]:
    from django.conf import settings

    from metrics import dbt_adapter, dbt_project, switches
    from portal.inline import run
    from portal.warehouse import get_warehouse
    from sources.models import Source

    endpoints_file = folder / "bench-endpoints.json"
    endpoints_file.write_text(json.dumps(endpoints))
    _prepare_portal(endpoints_file)
    if (report := run(Source.objects.order_by("slug"))).exit_code != 0:
        raise SystemExit(f"The pipeline did not publish: {json.dumps(report.as_dict(), indent=1)}")
    warehouse = get_warehouse()
    stripe = tuple(sorted(table for table in warehouse.tables(schema_prefix="raw_") if table.startswith("raw_stripe.")))
    request = switches.request_for(warehouse, stripe)
    location = dbt_project.Location(settings.WAREHOUSE_URL, request.work_dir)
    command = dbt_adapter.command_for(request)
    alone = dbt_project.Location(settings.WAREHOUSE_URL, folder / "alone")
    warm, commands = [], []
    for _ in range(repeat):
        began = time.perf_counter()
        with warehouse.writer():
            outcome = dbt_adapter.build(request)
        warm.append(time.perf_counter() - began)
        if outcome.error or outcome.failing_tests:
            raise SystemExit(f"The build failed: {outcome.error!r} {outcome.failing_tests}")
        began = time.perf_counter()
        subprocess.run(
            [str(Path(sys.executable).parent / "dbt"), *command, *alone.arguments],
            env={**os.environ, **location.environment},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        commands.append(time.perf_counter() - began)
    ours, theirs = statistics.median(warm), statistics.median(commands)
    print(f"downstream of Stripe: {outcome.models} models, {outcome.tests} tests")
    print(f"  warm     {ours:6.2f} s   ({', '.join(f'{each:.2f}' for each in warm)})")
    print(f"  command  {theirs:6.2f} s   ({', '.join(f'{each:.2f}' for each in commands)})")
    return [_promise("warm ÷ command", ours / theirs, at_most=0.25)]


def _large(folder: Path, lines: int, events: int) -> list[bool]:
    small = _first(folder / "small", lines // 4, events // 4)
    place = folder / "large"
    first = _first(place, lines, events, keep=True)
    file, work_dir = place / "warehouse.duckdb", place / "dbt"
    subprocess.run([sys.executable, "-m", "bench.large_company", str(file), "more"], check=True)
    use = measure("bench.dbt_build", file, work_dir, USE)
    invoices = measure("bench.dbt_build", file, work_dir, INVOICES)
    shutil.rmtree(place)
    print(f"{lines:,} invoice lines, {events:,} usage events")
    for name, side in (("first", first), ("a day of use", use), ("a day of invoices", invoices)):
        print(f"  {name:<18} {side.seconds:7.1f} s  {side.rows:>4} models  {side.peak_mb:>6,.0f} MB")
    return [
        _promise("a day of use ÷ first", use.seconds / first.seconds, at_most=0.1),
        _promise("a day of invoices ÷ first", invoices.seconds / first.seconds, at_most=0.1),
        _promise("peak memory ÷ at a quarter of the rows", first.peak_mb / small.peak_mb, at_most=1.5),
    ]


def _first(place: Path, lines: int, events: int, *, keep: bool = False) -> Measured:
    place.mkdir()
    file = place / "warehouse.duckdb"
    numbers = [str(number) for number in (lines // MONTHS, MONTHS, events)]
    subprocess.run([sys.executable, "-m", "bench.large_company", str(file), *numbers], check=True)
    measured = measure("bench.dbt_build", file, place / "dbt")
    if not keep:
        shutil.rmtree(place)
    return measured


def _promise(what: str, value: float, *, at_most: float) -> bool:
    is_kept = value <= at_most
    print(f"  {what:<42} {value:8.2f}   (at most {at_most:g}){'' if is_kept else '   BROKEN'}", flush=True)
    return is_kept


if __name__ == "__main__":
    raise SystemExit(main())
