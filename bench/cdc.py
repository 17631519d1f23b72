"""Change data capture from PostgreSQL into DuckDB, end to end: what a sync costs, and how old data is.

    python -m bench.cdc --out FOLDER [--changes 200000] [--seconds 30]

catch-up   one transaction of N changes (inserts, updates, deletes), then one sync: rows/s from the start of the sync to
           rows in the warehouse and the slot confirmed, with the peak memory of the syncing process
latency    a writer commits 1,000 changes a second, syncs follow one another; for each commit the time from its commit to
           the end of the sync that made it queryable (p50, p95). With a schedule of 5 minutes the wait comes on top.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROWS_A_COMMIT = 100
COMMITS_A_SECOND = 10
TABLE = (
    "create table bench (id bigint primary key, name text, email text, amount numeric(12, 2), doc jsonb, flag boolean,"
    " day date, at timestamptz, note text)"
)
ROW = (
    "i, 'name ' || i, 'user' || i || '@example.com', i / 100.0, jsonb_build_object('n', i), i % 2 = 0,"
    " date '2026-01-01' + (i % 300)::int, timestamptz '2026-01-01' + i * interval '1 second', 'a note that says little'"
)


def start(folder: Path) -> tuple[Any, dict[str, Any]]:
    from sandbox.postgres import ProductDatabase

    server = ProductDatabase(folder, port=0, owner_password="owner", reader_password="reader")
    server.start()
    settings = {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "bench",
        "user": "postgres",
        "password": "owner",
        "changes": "cdc",
        "deletes": "soft",
    }
    with server.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute("create database bench")
    return server, settings


class Syncs:
    """One warm process that syncs when told, as a worker does."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        environment = {**os.environ, "DEMO": "true", "DATA_DIR": str(folder / "data")}
        environment["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.cdc", "--serve", str(folder), json.dumps(settings)],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def sync(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("sync\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def serve(folder: Path, settings: dict[str, Any]) -> None:
    import django

    django.setup()
    from django.conf import settings as portal

    from portal.failures import PortalError
    from sources.connectors.base import StreamRequest
    from sources.engines.base import SyncRequest
    from sources.engines.dlt_engine import DltEngine

    portal.WAREHOUSE_URL = f"duckdb:///{folder}/warehouse.duckdb"
    engine = DltEngine()
    engine.warm_up()
    request = SyncRequest("bench", "postgres", settings, (StreamRequest("bench"),), "raw_bench", folder / "work")
    print(json.dumps({}), flush=True)
    for _ in sys.stdin:
        began = time.monotonic()
        try:
            outcome = engine.sync(request, lambda stream, rows: None)
        except PortalError as error:
            sys.exit(f"{error.sentence}\n{error.detail}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = {"seconds": time.monotonic() - began, "rows": sum(outcome.rows.values()), "megabytes": peak}
        print(json.dumps(told), flush=True)


def catch_up(server: Any, syncs: Syncs, changes: int) -> dict[str, Any]:
    inserts, updates, deletes = changes // 2, changes * 3 // 8, changes // 8
    with server.connect("bench") as connection:
        connection.execute(f"insert into bench select {ROW} from generate_series(1, {changes}) i")
    first = syncs.sync()
    with server.connect("bench") as connection:
        connection.execute(f"insert into bench select {ROW} from generate_series({changes + 1}, {changes + inserts}) i")
        connection.execute(f"update bench set note = 'changed' where id <= {updates}")
        connection.execute(f"delete from bench where id > {updates} and id <= {updates + deletes}")
    told = syncs.sync()
    total = inserts + updates + deletes
    return {
        "changes": total,
        "seconds": round(told["seconds"], 2),
        "changes_a_second": round(total / told["seconds"]),
        "peak_megabytes": round(told["megabytes"]),
        "peak_megabytes_after_snapshot": round(first["megabytes"]),
    }


def latency(server: Any, syncs: Syncs, seconds: float) -> dict[str, Any]:
    commits: list[float] = []
    stop = threading.Event()

    def write() -> None:
        number = 10_000_000
        with server.connect("bench") as connection:
            begin = time.monotonic()
            while not stop.is_set():
                connection.execute(
                    f"insert into bench select {ROW} from generate_series({number}, {number + ROWS_A_COMMIT - 1}) i"
                )
                connection.commit()
                commits.append(time.monotonic())
                number += ROWS_A_COMMIT
                time.sleep(max(begin + len(commits) / COMMITS_A_SECOND - time.monotonic(), 0))

    writer = threading.Thread(target=write)
    writer.start()
    ages: list[float] = []
    waiting = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds or len(ages) < 2:
        seen = len(commits)  # committed before the sync began: all of these are in it
        syncs.sync()
        done = time.monotonic()
        ages += [done - at for at in commits[waiting:seen]]
        waiting = seen
    stop.set()
    writer.join()
    rate = len(commits) * ROWS_A_COMMIT / (commits[-1] - commits[0])
    return {
        "changes_a_second": round(rate),
        "commits": len(ages),
        "p50_seconds": round(statistics.median(ages), 2),
        "p95_seconds": round(statistics.quantiles(ages, n=20)[-1], 2),
    }


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), json.loads(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="where result.json is written")
    parser.add_argument("--changes", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-cdc-") as name:
        folder = Path(name)
        server, settings = start(folder)
        try:
            with server.connect("bench") as connection:
                connection.execute(TABLE)
            syncs = Syncs(folder, settings)
            try:
                result = {"catch_up": catch_up(server, syncs, options.changes)}
                result["latency"] = latency(server, syncs, options.seconds)
            finally:
                syncs.close()
        finally:
            server.stop()
    for title, numbers in result.items():
        print(f"{title:10}", "  ".join(f"{key}={value:,}" for key, value in numbers.items()))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "result.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
