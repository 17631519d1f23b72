"""Write the portal's checks as a SodaCL file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.text import plural
from quality.models import Check
from quality.soda_files import as_file


class Command(BaseCommand):
    help = (
        "Write the checks that are switched on as SodaCL; importing the file again changes nothing. dbt's tests are in "
        "the dbt project."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", metavar="FILE", type=Path, help="default: standard output")
        parser.add_argument("--dataset", action="append", default=[], metavar="SCHEMA.TABLE", help="only of these")

    def handle(self, *args: Any, file: Path | None, dataset: list[str], **options: Any) -> None:
        checks = Check.objects.enabled().of_soda()
        if dataset:
            checks = checks.on(dataset)
        text = as_file(checks)
        if not text:
            raise CommandError("There are no checks to export.", returncode=1)
        if file is None:
            self.stdout.write(text, ending="")
        else:
            file.write_text(text, encoding="utf-8")
            self.stdout.write(f"{plural(checks.count(), 'check')} written to {file}.")
        left_out = Check.objects.of_soda().filter(is_enabled=False).count()
        if left_out:
            self.stderr.write(f"{plural(left_out, 'check')} switched off and left out.")
