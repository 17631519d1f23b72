"""How fast rows arrive: the portal's engine beside plain dlt, and beside DuckDB's own reading as the limit.

    PostgreSQL    1,000,000 rows × 9 columns, a full load into an empty DuckDB file
    JSON API      200,000 objects in pages of 100, a full load
    memory        the same at ten times the rows

Every side is a process of its own, in turns, `--repeat` times; the medians count. Exit code 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.api_server import serving
from bench.meter import Measured, measure, medians
from bench.world import prepare_environment
from sandbox.postgres import ProductDatabase

PASSWORD = "bench"

TABLE = """
create table orders (
    id bigint primary key, customer_id uuid not null, status text not null, note text, quantity integer,
    amount numeric(12, 2), weight double precision, created_at timestamptz not null, is_paid boolean not null
);
insert into orders
select n, md5(n::text)::uuid, (array['open', 'paid', 'shipped', 'returned'])[n % 4 + 1],
       case when n % 3 > 0 then 'order ' || md5((n * 7)::text) end, n % 50, (n % 100000) / 100.0, n * 0.37,
       timestamptz '2024-01-01' + n * interval '1 minute', n % 2 = 0
from generate_series(1, {rows}) n;
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, default=200_000)
    options = parser.parse_args()
    folder = prepare_environment()
    try:
        kept = [
            *_postgres(folder, options.rows, options.repeat),
            *_api(folder, options.objects, options.repeat),
        ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(kept) else 1


def _postgres(folder: Path, rows: int, repeat: int) -> list[bool]:
    with _server(folder) as server:
        _fill(server, rows)
        there = server.endpoint()
        settings = _settings_file(folder, there)
        uri = "postgresql://{user}:{password}@{host}:{port}/{database}".format_map(there)
        address = "host={host} port={port} dbname={database} user={user} password={password}".format_map(there)
        sides: dict[str, list[Measured]] = {"portal": [], "plain dlt": [], "ATTACH": []}
        for _ in range(repeat):
            with _empty(folder) as here:
                sides["portal"].append(measure("bench.portal_sync", "postgres", settings, "orders", "id", here))
            with _empty(folder) as here:
                sides["plain dlt"].append(measure("bench.plain.postgres", uri, here / "plain.duckdb", "orders"))
            with _empty(folder) as here:
                sides["ATTACH"].append(measure("bench.plain.attach", address, here / "attached.duckdb", "orders"))
        found = _table(f"PostgreSQL, {rows:,} rows × 9 columns", sides, rows)
        _fill(server, rows * 10)
        with _empty(folder) as here:
            large = measure("bench.portal_sync", "postgres", settings, "orders", "id", here)
    portal = found["portal"]
    return [
        _promise("portal ÷ plain dlt, rows a second", portal.speed / found["plain dlt"].speed, at_least=2.0),
        _promise("portal ÷ ATTACH, rows a second", portal.speed / found["ATTACH"].speed, at_least=0.35),
        _promise("peak memory, MB", portal.peak_mb, at_most=600),
        _promise("peak memory at 10 × the rows ÷ at 1 ×", large.peak_mb / portal.peak_mb, at_most=1.2),
    ]


def _api(folder: Path, objects: int, repeat: int) -> list[bool]:
    sides: dict[str, list[Measured]] = {"portal": [], "plain dlt": []}
    with serving(objects) as base_url:
        settings = _settings_file(folder, {"api_key": "sk_test_bench", "base_url": base_url})
        for _ in range(repeat):
            with _empty(folder) as here:
                sides["portal"].append(measure("bench.portal_sync", "stripe", settings, "charges", "id", here))
            with _empty(folder) as here:
                sides["plain dlt"].append(measure("bench.plain.api", base_url, here / "plain.duckdb"))
    found = _table(f"JSON API, {objects:,} objects", sides, objects)
    with serving(objects * 10) as base_url, _empty(folder) as here:
        settings = _settings_file(folder, {"api_key": "sk_test_bench", "base_url": base_url})
        large = measure("bench.portal_sync", "stripe", settings, "charges", "id", here)
    portal = found["portal"]
    return [
        _promise("portal ÷ plain dlt, time", portal.seconds / found["plain dlt"].seconds, at_most=1.1),
        _promise("peak memory at 10 × the objects ÷ at 1 ×", large.peak_mb / portal.peak_mb, at_most=1.2),
    ]


def _table(title: str, sides: dict[str, list[Measured]], rows: int) -> dict[str, Measured]:
    print(title)
    found = {name: medians(measured) for name, measured in sides.items()}
    for name, side in found.items():
        if side.rows != rows:
            raise SystemExit(f"{name} has {side.rows:,} rows, not {rows:,}.")
        every = ", ".join(f"{each.seconds:.2f}" for each in sides[name])
        print(f"  {name:<10} {side.seconds:6.2f} s  {side.speed:>10,.0f} rows/s  {side.peak_mb:>6,.0f} MB   ({every})")
    return found


def _promise(what: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> bool:
    limit = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
    is_kept = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    print(f"  {what:<42} {value:8.2f}   ({limit}){'' if is_kept else '   BROKEN'}", flush=True)
    return is_kept


@contextmanager
def _server(folder: Path) -> Iterator[ProductDatabase]:
    server = ProductDatabase(folder, port=0, owner_password=PASSWORD, reader_password=PASSWORD)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _fill(server: ProductDatabase, rows: int) -> None:
    with server.connect() as connection:
        connection.autocommit = True
        connection.execute("drop table if exists orders")
        connection.execute(TABLE.format(rows=rows))  # type: ignore[arg-type]
        connection.execute("vacuum analyze orders")
        connection.execute("checkpoint")


def _settings_file(folder: Path, settings: dict[str, Any]) -> Path:
    file = folder / "settings.json"
    file.write_text(json.dumps(settings))
    return file


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    here = Path(tempfile.mkdtemp(dir=folder))
    try:
        yield here
    finally:
        shutil.rmtree(here, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
