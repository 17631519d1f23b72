"""Import a company's Airbyte-style connections as sources: `manage.py import_connections connections.yaml`.

Prints what became of each. Exit 0: done (also when nothing changed); 2: the file was refused, nothing was changed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction

from sources import connections, connections_file


class Command(BaseCommand):
    help = "Import a company's connections (YAML) as sources. The same file twice changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")

    def handle(self, *args: Any, file: Path, dry_run: bool, **options: Any) -> None:
        try:
            found = connections_file.read(file)
            with transaction.atomic():
                imported = connections.apply(found, origin=file.name)
                if dry_run:
                    transaction.set_rollback(True)
        except connections_file.BadFile as error:
            for problem in error.problems:
                place = f"{file}:{problem.line}" if problem.line else str(file)
                self.stderr.write(f"{place}: {problem.sentence}")
            self.stderr.write("Nothing was changed.")
            sys.exit(2)
        self._report(found, imported)
        if dry_run:
            self.stdout.write("This was a dry run: nothing was changed.")

    def _report(self, found: list[connections_file.Connection], imported: list[connections.Imported]) -> None:
        for result in imported:
            source = result.source
            self.stdout.write(f"{result.sign} {source.slug} ({source.name})")
            for line in result.changes:
                self.stdout.write(f"    {line}")
            for line in result.notes:
                self.stdout.write(f"    Note: {line}")
        destinations = sorted({connection.destination for connection in found if connection.destination})
        if destinations:
            self.stdout.write(
                f"The file's destination ({', '.join(destinations)}) is not used: everything lands in this portal's "
                "own warehouse."
            )
        counts = [
            (sum(result.is_new for result in imported), "added"),
            (sum(not result.is_new and bool(result.changes) for result in imported), "changed"),
            (sum(not result.is_new and not result.changes for result in imported), "unchanged"),
            (sum(not result.source.is_enabled for result in imported), "switched off"),
        ]
        self.stdout.write(", ".join(f"{count} {what}" for count, what in counts) + ".")
