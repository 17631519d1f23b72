"""All background processes of one machine: the scheduler and the workers of the three queues.

The engines (dlt, dbt, Soda) are imported once, before the fork: every worker is warm from its first task, and they
share the memory of what was imported. Connections and threads are made after the fork only.

On several machines run `celery -A portal worker -Q …` and one `celery -A portal beat` instead.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

from celery.platforms import SecurityWarning
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections
from django.utils import timezone

from portal import dispatch
from portal.celery import app
from portal.supervise import die_with_parent
from quality import soda_runtime
from sources.connectors import CONNECTORS, get_connector
from sources.engines import ENGINES, get_engine

logger = logging.getLogger("portal.workers")

# What the adapters import only when they are used; a worker has it from its start.
WARM = (
    "duckdb",
    "pyarrow.parquet",
    "metrics.dbt_adapter",
    "dbt.cli.main",
    "dbt.task.build",
    "dbt.adapters.duckdb",
    "quality.soda_adapter",
    "soda.data_sources.duckdb_data_source",
    # and what each Celery process would import for itself after the fork
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.beat",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.worker.consumer",
    "django_celery_beat.schedulers",
    "kombu.transport.redis",
)
BEACON_SECONDS = 20.0


def warm_up() -> None:
    """Import what is slow to import, without opening a connection or starting a thread of ours."""
    soda_runtime.load_soda()  # first: it keeps Soda's telemetry off
    for name in ENGINES:
        get_engine(name).warm_up()
    for name in WARM:
        importlib.import_module(name)
    for name in CONNECTORS:
        get_connector(name)
    app.loader.import_default_modules()
    app.finalize()


def _worker(name: str, *options: str) -> Callable[[], None]:
    def run() -> None:
        app.worker_main(
            [
                "worker",
                "-n",
                f"{name}@%h",
                "-Q",
                name,
                "-l",
                "info",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                *options,
            ]
        )

    return run


def _beat() -> None:
    app.start(["beat", "-l", "info", "--pidfile="])


def groups() -> dict[str, Callable[[], None]]:
    """What runs beside each other. One writer on DuckDB, so one warehouse worker; mail and probes mostly wait."""
    return {
        "extract": _worker("extract", "-c", str(settings.EXTRACT_CONCURRENCY)),
        "warehouse": _worker("warehouse", "-c", "1"),
        "default": _worker("default", "-P", "threads", "-c", "4"),
        "beat": _beat,
    }


class Command(BaseCommand):
    help = "Run the scheduler and the workers of every queue on this machine until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.CELERY_BROKER_URL.startswith("memory:"):
            raise CommandError("No broker: set REDIS_URL, or start the demo, which brings its own.")
        # Numeric libraries start threads when they are imported; a fork does not take them along.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        # Celery's warning is about pickled messages; ours are JSON.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        warm_up()
        connections.close_all()
        gc.collect()
        gc.freeze()  # the collector leaves the shared pages alone
        self.pids: dict[int, str] = {}
        self.stopping = False
        for name in groups():
            self._fork(name)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        logger.info("Workers are ready: %s.", ", ".join(groups()))
        dispatch.send("sweep")  # at once: what the last stop left behind should not wait for the first minute
        self._watch()

    def _fork(self, name: str) -> None:
        pid = os.fork()
        if pid:
            self.pids[pid] = name
            return
        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            die_with_parent()
            groups()[name]()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0
        except BaseException:
            logger.exception("The %s process ended with an error.", name)
        finally:
            os._exit(code)

    def _watch(self) -> None:
        """Give a sign of life while all parts live; start again the part that ended."""
        beacon_at = 0.0
        while self.pids:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid in self.pids:
                name = self.pids.pop(pid)
                if not self.stopping:
                    logger.warning("The %s process ended (status %s); starting it again.", name, status)
                    time.sleep(1)
                    self._fork(name)
                continue
            if not self.stopping and time.monotonic() - beacon_at > BEACON_SECONDS:
                beacon_at = time.monotonic()
                self._beacon()
            time.sleep(0.2)

    @staticmethod
    def _beacon() -> None:
        from portal.models import Beacon

        try:
            Beacon.objects.update_or_create(name="worker", defaults={"seen_at": timezone.now()})
        except DatabaseError as error:
            logger.warning("The portal's database does not answer: %s", error)
        finally:
            # A later fork must not inherit this connection.
            connections.close_all()

    def _stop(self, *args: Any) -> None:
        self.stopping = True
        for pid in list(self.pids):
            os.kill(pid, signal.SIGTERM)
