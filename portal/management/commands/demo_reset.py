"""Forget everything the demo has kept in DATA_DIR."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Remove the demo's data: database, warehouse, mails, logs and the simulated company."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("Only a demo's data may be removed this way (DEMO=true).")
        data_dir = Path(settings.DATA_DIR)
        with (data_dir / "demo.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError("The demo is running. Stop it first (Ctrl-C where it was started).") from None
            for entry in data_dir.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        self.stdout.write(f"{data_dir} is empty again.")
