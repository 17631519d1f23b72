"""dbt on this portal's warehouse, for an engineer: `manage.py dbt -- build --select mrr_events`."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import REMAINDER
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from metrics.dbt_project import Location
from portal.warehouse import get_warehouse


class Command(BaseCommand):
    help = "Run dbt on the portal's warehouse. It waits for its turn: one process writes at a time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("arguments", nargs=REMAINDER, help="Whatever dbt takes; put -- before them.")

    def handle(self, *args: Any, **options: Any) -> None:
        location = Location(settings.WAREHOUSE_URL, Path(settings.DATA_DIR) / "dbt-shell")
        arguments = [argument for argument in options["arguments"] if argument != "--"] or ["--help"]
        env = {
            **os.environ,
            **location.environment,
            "DBT_PROJECT_DIR": str(location.project_dir),
            "DBT_PROFILES_DIR": str(location.project_dir),
            "DBT_TARGET_PATH": str(location.work_dir / "target"),
            "DBT_LOG_PATH": str(location.work_dir / "logs"),
        }
        binary = Path(sys.executable).with_name("dbt")
        with get_warehouse().writer():
            sys.exit(subprocess.run([str(binary), *arguments], env=env, check=False).returncode)
