"""The product database: a real PostgreSQL with the right contents, followed by the clock, stopped at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sandbox.postgres import ProductDatabase
from sandbox.product import Changes
from sandbox.server import ENDPOINTS_FILE, Sandbox
from tests.sandbox.conftest import MONDAY
from tests.sandbox.test_server import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.start(tmp_path_factory.mktemp("sandbox"), seed=5, scale=0.1, now=MONDAY) as running:
        yield running


def reader(sandbox: Sandbox) -> psycopg.Connection:
    place = sandbox.endpoints()["postgres"]
    return psycopg.connect(
        host=place["host"],
        port=place["port"],
        dbname=place["database"],
        user=place["user"],
        password=place["password"],
    )


def contents(sandbox: Sandbox) -> dict[str, list[tuple]]:
    with reader(sandbox) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in ("workspaces", "users", "events")
        }


def server_pid(sandbox: Sandbox) -> int:
    return int((sandbox.data_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_the_tables_have_the_promised_columns(sandbox):
    with reader(sandbox) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        ).fetchall()
    columns = {table: [(name, kind) for owner, name, kind in rows if owner == table] for table, _, _ in rows}
    moment = "timestamp with time zone"
    assert columns == {
        "workspaces": [
            ("id", "uuid"),
            ("name", "text"),
            ("plan", "text"),
            ("stripe_customer_id", "text"),
            ("seats", "integer"),
            ("mrr_note", "numeric"),
            ("settings", "jsonb"),
            ("created_at", moment),
            ("updated_at", moment),
        ],
        "users": [
            ("id", "bigint"),
            ("workspace_id", "uuid"),
            ("email", "text"),
            ("name", "text"),
            ("role", "text"),
            ("created_at", moment),
            ("updated_at", moment),
            ("last_seen_at", moment),
            ("deleted_at", moment),
        ],
        "events": [
            ("id", "bigint"),
            ("user_id", "bigint"),
            ("workspace_id", "uuid"),
            ("name", "text"),
            ("properties", "jsonb"),
            ("created_at", moment),
        ],
    }


def test_workspaces_belong_to_stripe_customers(sandbox):
    with reader(sandbox) as connection:
        linked = {row[0] for row in connection.execute("SELECT stripe_customer_id FROM workspaces")}
        notes = connection.execute("SELECT count(mrr_note), count(*) FROM workspaces").fetchone()
        kinds = connection.execute("SELECT count(last_seen_at), count(deleted_at) FROM users").fetchone()
    assert linked == set(sandbox.company.ledger.customers)
    assert 0 < notes[0] < notes[1]
    assert min(kinds) > 0


def test_the_portals_role_may_read_and_nothing_else(sandbox):
    for order in (
        "INSERT INTO events VALUES (1)",
        "UPDATE users SET name = ''",
        "DELETE FROM events",
        "CREATE TABLE mine (id int)",
        "DROP TABLE events",
    ):
        with reader(sandbox) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(order)


def test_a_wrong_password_is_refused(sandbox):
    place = sandbox.endpoints()["postgres"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=place["port"], dbname="product", user=place["user"], password="guess")


def test_it_is_ready_for_logical_replication_and_listens_on_loopback_only(sandbox):
    with sandbox.postgres.connect() as connection:
        assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)


def test_the_portals_role_may_follow_the_log_of_every_table(sandbox):
    with reader(sandbox) as connection:
        assert connection.execute("SELECT rolreplication FROM pg_roles WHERE rolname = current_user").fetchone() == (
            True,
        )
        followed = connection.execute(
            "SELECT tablename FROM pg_publication_tables WHERE pubname = 'product'"
        ).fetchall()
    assert {name for (name,) in followed} == {"workspaces", "users", "events"}


def test_rows_are_inserted_and_updated_when_the_clock_moves(sandbox):
    before = contents(sandbox)
    sandbox.advance(days=3)
    after = contents(sandbox)
    for table in before:
        known = {row[0]: row for row in before[table]}
        assert set(known) < {row[0] for row in after[table]}
    changed = [
        row for row in after["users"] if row[0] in {u[0] for u in before["users"]} and row not in before["users"]
    ]
    assert changed
    assert all(row[6].timestamp() > MONDAY for row in changed)


def test_a_restart_gives_the_same_rows_and_one_built_anew_gives_them_too(tmp_path):
    with Sandbox.start(tmp_path / "one", seed=6, scale=0.05, now=MONDAY) as first:
        first.advance(days=1)
        before, port, pid = contents(first), first.endpoints()["postgres"]["port"], server_pid(first)
    assert not is_running(pid)
    with Sandbox.start(tmp_path / "one") as again:
        assert again.endpoints()["postgres"]["port"] == port
        assert contents(again) == before
        again.advance(days=1)
        moved = contents(again)
    with Sandbox.start(tmp_path / "two", seed=6, scale=0.05, now=MONDAY) as other:
        other.advance(days=2)
        assert contents(other) == moved


def test_what_could_not_be_written_is_written_with_the_next_step(tmp_path, monkeypatch):
    with Sandbox.start(tmp_path / "one", seed=6, scale=0.05, now=MONDAY) as sandbox:
        write = ProductDatabase.write

        def fail(self: ProductDatabase, changes: Changes) -> None:
            raise psycopg.OperationalError("the cable was pulled")

        monkeypatch.setattr(ProductDatabase, "write", fail)
        with pytest.raises(psycopg.OperationalError):
            sandbox.advance(days=1)
        monkeypatch.setattr(ProductDatabase, "write", write)
        sandbox.catch_up()
        healed = contents(sandbox)
    with Sandbox.start(tmp_path / "two", seed=6, scale=0.05, now=MONDAY) as other:
        other.advance(days=1)
        assert contents(other) == healed


def test_a_killed_sandbox_leaves_a_server_that_the_next_start_replaces(tmp_path):
    arguments = [sys.executable, "-m", "sandbox", "serve", "--data-dir", str(tmp_path), "--scale", "0.05", "--freeze"]
    process = subprocess.Popen(arguments)
    try:
        wait_for((tmp_path / ENDPOINTS_FILE).exists, 60)
    finally:
        process.kill()
        process.wait()
    left = int((tmp_path / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    assert is_running(left)
    with Sandbox.start(tmp_path) as sandbox:
        assert not is_running(left)
        assert contents(sandbox)["users"]


def test_sigterm_stops_postgresql_too_and_the_second_start_is_quick(tmp_path):
    arguments = [sys.executable, "-m", "sandbox", "serve", "--data-dir", str(tmp_path)]
    for turn in (1, 2):
        process = subprocess.Popen(arguments)
        try:
            wait_for((tmp_path / ENDPOINTS_FILE).exists, 90)
            pid = int((tmp_path / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
            used = _cpu_seconds(process.pid)
            memory = _resident_mb(process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
        finally:
            process.kill()
        assert not is_running(pid)
        assert memory < 200
        if turn == 2:
            # a generous bound: the machine that runs this may be slow, a start that does needless work is slower still
            assert used < 10


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    line = next(li for li in Path(f"/proc/{pid}/status").read_text().splitlines() if li.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def test_a_server_that_cannot_start_says_why(tmp_path):
    database = ProductDatabase(tmp_path, port=0, owner_password="a", reader_password="b")
    database.start()
    database.stop()
    (tmp_path / "postgres" / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
    began = time.monotonic()
    with pytest.raises(Exception, match="no_such_setting"):
        database.start()
    assert time.monotonic() - began < 30
    database.stop()
