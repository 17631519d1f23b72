"""Bring checks from SodaCL files into the portal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal import dispatch
from portal.text import plural
from quality.check_imports import CREATED, REMOVED, UNCHANGED, UPDATED, Change, apply
from quality.soda_files import BadFile, read_files


class Command(BaseCommand):
    help = (
        "Import checks from SodaCL files. Says what it made of each check and what changed; the same files again "
        "change nothing. Anything wrong in any file is refused with file and line, and nothing is changed (exit 2)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")

    def handle(self, *args: Any, files: list[Path], dry_run: bool, **options: Any) -> None:
        called = {path: _name_of(path) for path in files}
        try:
            checks = read_files(files, called=called)
        except BadFile as error:
            for problem in error.problems:
                self.stderr.write(str(problem))
            count = plural(len(error.problems), "problem")
            raise CommandError(f"{count}; nothing was changed.", returncode=2) from None
        changes = apply(checks, called.values(), dry_run=dry_run)
        for dataset in dict.fromkeys(change.dataset for change in changes):
            self.stdout.write(self.style.MIGRATE_HEADING(dataset))
            for change in changes:
                if change.dataset == dataset:
                    self._say(change)
        counts = Counter(change.action for change in changes)
        words = ", ".join(f"{counts[action]} {action}" for action in (CREATED, UPDATED, UNCHANGED, REMOVED))
        self.stdout.write(f"{words}." + (" Nothing was changed (dry run)." if dry_run else ""))
        if not dry_run and counts[REMOVED]:
            dispatch.send("deliver_mail")

    def _say(self, change: Change) -> None:
        severity = f"{change.written.severity:<8}" if change.written else " " * 8
        self.stdout.write(f"  {change.action:<9} {severity} {change.name}")
        if change.written is not None:
            for line in change.written.definition.splitlines():
                self.stdout.write(f"                       {line}")
            for note in change.written.notes:
                self.stdout.write(f"                     · {note}")
        for difference in change.differences:
            self.stdout.write(f"                     · {difference}")


def _name_of(path: Path) -> str:
    """How a file is remembered: below the project by its path there, elsewhere by its whole path."""
    whole = path.resolve()
    base = Path(settings.BASE_DIR)
    return str(whole.relative_to(base)) if whole.is_relative_to(base) else str(whole)
