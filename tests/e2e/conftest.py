"""The whole portal as its users run it: separate processes, real engines, the sandbox company, a real mail server."""

from __future__ import annotations

import email
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default as default_policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from sandbox.server import Sandbox

BASE_DIR = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true answer of `condition`; fails with `what` when none comes in time."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if answer := condition():
            return answer
        pause.wait(0.1)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")


@dataclass
class Portal:
    """A portal with a DATA_DIR of its own, driven from outside."""

    data_dir: Path
    env: dict[str, str]
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    def in_directory(cls, data_dir: Path, mail_url: str) -> Portal:
        env = {
            **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "WAREHOUSE_URL"}},
            "DATA_DIR": str(data_dir),
            "DLT_DATA_DIR": str(data_dir / "dlt"),
            "DEMO": "true",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "EMAIL_URL": mail_url,
            "LOG_LEVEL": "INFO",
            "RETRY_DELAYS": "0.2,0.2",
            "RUN_HEARTBEAT_SECONDS": "0.5",
            "RUN_LOST_AFTER_SECONDS": "4",
            "SWEEP_SECONDS": "2",
        }
        return cls(data_dir, env)

    def manage(self, *arguments: str, **more_env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env={**self.env, **more_env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def must(self, *arguments: str) -> str:
        done = self.manage(*arguments)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pipeline(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and report of `manage.py pipeline … --json`."""
        done = self.manage("pipeline", *(arguments or ("--all",)), "--json")
        assert done.stdout.strip(), f"no report; exit code {done.returncode}\n{done.stderr}"
        return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the portal's own database."""
        with sqlite3.connect(f"file:{self.data_dir / 'portal.sqlite3'}?mode=ro", uri=True, timeout=30) as connection:
            return connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, *parameters: Any) -> Any:
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def shell(self, code: str) -> str:
        return self.must("shell", "-v", "0", "-c", code)

    def published(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of what pages read now."""
        import duckdb

        name = self.one(
            "select location from portal_publication where outcome = 'published' and location != '' order by id desc"
        )
        with duckdb.connect(str(self.data_dir / "warehouse" / "published" / name), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def start(self, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        with (self.data_dir / f"{log}.log").open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=BASE_DIR,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.children.append(child)
        return child

    def stop(self) -> None:
        for child in reversed(self.children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()


def free_port() -> int:
    """One that nobody listens on now, on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mailbox:
    """A real SMTP server that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content, policy=default_policy))
        return "250 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.controller.port}"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    box.controller.start()
    yield box
    box.controller.stop()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A small simulated company. Its time stands still 50 minutes ago, so that tests can push it on, never past now."""
    opened = int(time.time()) - 50 * 60
    folder = tmp_path_factory.mktemp("sandbox")
    with Sandbox.start(data_dir=folder, freeze=True, scale=0.1, now=opened) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory, company: Sandbox, mailbox: Mailbox) -> Iterator[Portal]:
    """A portal with the three demo sources and their checks; nothing synced yet."""
    data_dir = tmp_path_factory.mktemp("portal")
    portal = Portal.in_directory(data_dir, mailbox.url)
    portal.must("migrate", "-v", "0")
    endpoints = data_dir / "endpoints.json"
    endpoints.write_text(json.dumps(company.endpoints()))
    portal.must("demo_seed", "--endpoints", str(endpoints))
    yield portal
    portal.stop()
