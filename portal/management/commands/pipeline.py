"""Run the pipeline at once, without a broker. Exit 0 published, 3 held, 1 failed, 2 bad arguments."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.inline import Report, run
from sources.models import Source


class Command(BaseCommand):
    help = (
        "Sync, build, scan and publish at once, in this process. Exit 0 published, 3 held, 1 failed, 2 bad arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--source", action="append", metavar="SLUG", help="A source's short name; may be repeated.")
        which.add_argument("--all", action="store_true", help="Every source that is switched on.")
        parser.add_argument("--full-build", action="store_true", help="Build every dbt model, not only what changed.")
        parser.add_argument("--json", action="store_true", help="Print the report as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        report = run(self._sources(options["source"]), full_build=options["full_build"])
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict()))
        else:
            self._tell(report)
        sys.exit(report.exit_code)

    @staticmethod
    def _sources(slugs: list[str] | None) -> list[Source]:
        if slugs is None:
            sources = list(Source.objects.enabled().order_by("slug"))
            if not sources:
                raise CommandError("There is no source that is switched on. Add one in the admin first.", returncode=2)
            return sources
        known = {source.slug: source for source in Source.objects.filter(slug__in=slugs)}
        unknown = [slug for slug in slugs if slug not in known]
        if unknown:
            names = ", ".join(Source.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"No source is called {', '.join(unknown)}. Known: {names}.", returncode=2)
        return [known[slug] for slug in dict.fromkeys(slugs)]

    def _tell(self, report: Report) -> None:
        for sync in report.syncs:
            total = sum(sync["rows"].values())
            self.stdout.write(
                f"sync   {sync['source']:<14} {sync['status']:<10} {total:>9,} rows  {sync['seconds']:.1f} s"
            )
            if "sentence" in sync:
                self.stdout.write(f"       {sync['sentence']}")
        build, scan = report.build, report.scan
        self.stdout.write(
            f"build  {build['status']}: {build['models']} models, {build['tests']} tests  {build['seconds']:.1f} s"
        )
        if "sentence" in build:
            self.stdout.write(f"       {build['sentence']}")
        self.stdout.write(
            f"scan   {scan['checks']} checks: {scan['passed']} passed, {scan['warned']} warned, "
            f"{scan['failed']} failed, {scan['errored']} could not be checked  {scan['seconds']:.1f} s"
        )
        self.stdout.write(f"       {report.publication['status']}")
        for reason in report.publication["reasons"]:
            self.stdout.write(f"       - {reason}")
