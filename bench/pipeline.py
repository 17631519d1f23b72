"""The warm pipeline against the same work as commands, and against the same calls made by hand in one warm process.

    portal     manage.py pipeline's own function, in a process that has done it once before
    commands   a plain dlt script a source, `dbt build`, `soda scan` a file: each a process of its own
    by hand    engine, dbt, Soda and publication called one after the other: no rows, no claims, no incidents

Every repetition is a first load into an empty warehouse from the same sandbox. Prints the median of each side and the
ratios; exit code 1 when a promise is broken (portal ÷ commands ≤ 0.5, portal ÷ by hand ≤ 1.1, nothing new < 2 s).
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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.world import company, prepare_environment

ROOT = Path(__file__).resolve().parent.parent
CHECKS = ("stripe_checks.yaml", "product_checks.yaml")

SOURCES = ("github", "postgres", "stripe")
SCHEMAS = ("raw_stripe", "raw_github", "raw_postgres", "mart_finance", "mart_engineering")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    data_dir = prepare_environment()
    import django

    django.setup()
    with company(data_dir, options.scale) as endpoints:
        endpoints_file = data_dir / "bench-endpoints.json"
        endpoints_file.write_text(json.dumps(endpoints))
        _prepare_portal(endpoints_file)
        _portal(data_dir / "warm-up")  # imports, caches, parsed project: what a worker has after its first run
        sides: dict[str, list[float]] = {"portal": [], "commands": [], "by hand": []}
        noop: list[float] = []
        rows: dict[str, int] = {}
        for number in range(options.repeat):
            seconds, rows, nothing_new = _portal(data_dir / f"portal-{number}")
            sides["portal"].append(seconds)
            noop.append(nothing_new)
            sides["by hand"].append(_by_hand(data_dir / f"hand-{number}"))
            sides["commands"].append(_commands(data_dir / f"commands-{number}", endpoints_file))
    return _report(sides, noop, rows)


def _report(sides: dict[str, list[float]], noop: list[float], rows: dict[str, int]) -> int:
    median = {name: statistics.median(values) for name, values in sides.items()}
    print(f"rows: {', '.join(f'{name} {count:,}' for name, count in rows.items())}")
    for name, values in sides.items():
        print(f"{name:<10} {median[name]:6.2f} s   ({', '.join(f'{value:.2f}' for value in values)})")
    against_commands = median["portal"] / median["commands"]
    against_hand = median["portal"] / median["by hand"]
    nothing_new = statistics.median(noop)
    print(f"portal ÷ commands  {against_commands:.2f}   (at most 0.50)")
    print(f"portal ÷ by hand   {against_hand:.2f}   (at most 1.10)")
    print(f"nothing new        {nothing_new:.2f} s (under 2 s)")
    return 0 if against_commands <= 0.5 and against_hand <= 1.1 and nothing_new < 2 else 1


def _prepare_portal(endpoints_file: Path) -> None:
    from django.core.management import call_command

    from quality.models import Check
    from sources.models import Source

    call_command("migrate", verbosity=0)
    with open(os.devnull, "w") as quiet:
        call_command("demo_seed", endpoints=str(endpoints_file), stdout=quiet)
    # Those that there is a plain script for.
    Source.objects.exclude(slug__in=SOURCES).delete()
    for check in Check.objects.all():
        if check.dataset.partition(".")[0] not in SCHEMAS:
            check.delete()


def _move_to(folder: Path) -> None:
    """An empty warehouse and empty work folders; the portal's database stays, without what happened so far."""
    from django.conf import settings

    from metrics.models import Build
    from quality.models import Incident, Measurement, Scan
    from sources.models import SyncRun

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings.DATA_DIR = folder
    settings.WAREHOUSE_URL = f"duckdb:///{folder}/warehouse/warehouse.duckdb"
    for model in (SyncRun, Build, Scan, Incident, Measurement):
        model.objects.all().delete()


def _portal(folder: Path) -> tuple[float, dict[str, int], float]:
    """Seconds of a first pipeline, rows a source, and seconds of a second one that finds nothing new."""
    from portal.inline import run
    from sources.models import Source

    _move_to(folder)
    began = time.perf_counter()
    report = run(Source.objects.order_by("slug"))
    seconds = time.perf_counter() - began
    if report.exit_code != 0:
        raise SystemExit(f"The pipeline did not publish: {json.dumps(report.as_dict(), indent=1)}")
    began = time.perf_counter()
    again = run(Source.objects.order_by("slug"))
    nothing_new = time.perf_counter() - began
    if again.exit_code != 0 or again.build["status"] != "skipped":
        raise SystemExit(f"The second pipeline found something to do: {json.dumps(again.as_dict(), indent=1)}")
    return seconds, {sync["source"]: sum(sync["rows"].values()) for sync in report.syncs}, nothing_new


def _by_hand(folder: Path) -> float:
    from django.conf import settings

    from metrics.dbt_adapter import build
    from metrics.dbt_types import BuildRequest
    from portal.warehouse import get_warehouse
    from quality import soda_adapter
    from quality.models import Check
    from sources.engines import get_engine
    from sources.models import Source

    _move_to(folder)
    requests = [source.sync_request([]) for source in Source.objects.order_by("slug")]
    checks: dict[str, list[Any]] = {}
    for check in Check.objects.enabled().of_soda():
        checks.setdefault(check.dataset, []).append(soda_adapter.CheckRequest(str(check.pk), check.definition))
    engine, warehouse = get_engine("dlt"), get_warehouse()
    began = time.perf_counter()
    for request in requests:
        engine.sync(request, lambda stream, rows: None)
    with warehouse.writer():
        outcome = build(
            BuildRequest((), frozenset(warehouse.tables(schema_prefix="raw_")), settings.WAREHOUSE_URL, folder / "dbt")
        )
    if outcome.error is not None or outcome.failing_tests:
        raise SystemExit(f"The build by hand failed: {outcome.error} {outcome.failing_tests}")
    with warehouse.writer(), soda_adapter.connected(warehouse) as connection:
        for dataset, group in checks.items():
            soda_adapter.scan_dataset(connection, dataset, group, datetime.now(UTC))
    warehouse.publish("1")
    return time.perf_counter() - began


def _commands(folder: Path, endpoints_file: Path) -> float:
    folder.mkdir()
    database = folder / "warehouse.duckdb"
    (folder / "soda.yml").write_text(
        "\n".join(
            f"data_source {schema}:\n  type: duckdb\n  path: {database}\n  schema: {schema}\n  read_only: true\n"
            for schema in SCHEMAS
        )
    )
    scans = _soda_files(folder)
    binaries = Path(sys.executable).parent
    env = {
        **os.environ,
        "DBT_TARGET": "duckdb",
        "DBT_DUCKDB_PATH": str(database),
        "DLT_DATA_DIR": str(folder / "dlt"),
        # By it the days of what changed are found.
        "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "OTEL_SDK_DISABLED": "true",
    }
    commands = [
        [sys.executable, "-m", "bench.plain.sync", slug, str(endpoints_file), str(database)] for slug in SOURCES
    ]
    commands.append(
        [str(binaries / "dbt"), *_dbt_arguments(folder)]
        + ["--project-dir", str(ROOT / "dbt"), "--profiles-dir", str(ROOT / "dbt")]
        + ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs"), "--quiet"]
    )
    commands += [
        [str(binaries / "soda"), "scan", "-d", schema, "-c", str(folder / "soda.yml"), str(file)]
        for schema, file in scans.items()
    ]
    began = time.perf_counter()
    for command in commands:
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        # Soda's exit code 1 is a warning; everything else has to be fine for a fair comparison.
        if done.returncode not in ((0, 1) if "soda" in command[0] else (0,)):
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - began


def _dbt_arguments(folder: Path) -> list[str]:
    """What a first build of the same tables does: the others are said to be missing."""
    from django.conf import settings

    from metrics.dbt_adapter import command_for
    from metrics.dbt_types import BuildRequest
    from portal.warehouse import get_warehouse

    tables = frozenset(get_warehouse().tables(schema_prefix="raw_"))
    return command_for(BuildRequest((), tables, settings.WAREHOUSE_URL, folder / "dbt"), with_definitions=True)


def _soda_files(folder: Path) -> dict[str, Path]:
    """The portal's checks as plain SodaCL, a file a schema; those that need Soda Cloud for history are left out."""
    from quality.models import Check

    by_schema: dict[str, dict[str, list[str]]] = {}
    for check in Check.objects.enabled().of_soda():
        if "anomaly" in check.definition:
            continue
        schema, _, table = check.dataset.partition(".")
        first, *rest = check.definition.strip().removeprefix("- ").splitlines()
        item = [f"  - {first}", *(f"    {line}" for line in rest)]
        by_schema.setdefault(schema, {}).setdefault(table, []).extend(item)
    files: dict[str, Path] = {}
    for schema, tables in by_schema.items():
        files[schema] = folder / f"{schema}.yml"
        files[schema].write_text(
            "\n".join("\n".join([f"checks for {table}:", *items]) for table, items in tables.items()) + "\n"
        )
    return files


if __name__ == "__main__":
    sys.exit(main())
