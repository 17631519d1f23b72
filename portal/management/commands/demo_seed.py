"""The demo's first user, its eight sources and their checks. May be run again: what people changed stays."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from portal.demo_login import DEMO_PASSWORD, DEMO_USER
from quality.models import Check
from sources import offers
from sources.connectors import get_connector
from sources.models import Source

CHECK_FILES = ("stripe_checks.yaml", "product_checks.yaml")

# slug: (name, schedule, promised freshness in minutes)
SOURCES: dict[str, tuple[str, str, int]] = {
    "stripe": ("Stripe (billing)", "*/15 * * * *", 60),
    "github": ("GitHub (engineering)", "*/30 * * * *", 180),
    "hubspot": ("HubSpot (CRM)", "*/30 * * * *", 240),
    "intercom": ("Intercom (support)", "*/15 * * * *", 60),
    "slack": ("Slack (activity)", "*/30 * * * *", 180),
    "mixpanel": ("Mixpanel (analytics)", "7 * * * *", 180),
    "postgres": ("Product database", "*/5 * * * *", 15),
    "google_sheets": ("Finance sheet (Google Sheets)", "20 * * * *", 1440),
}

# What a person would choose in the form, beside where the sandbox listens.
CHOSEN: dict[str, dict[str, str]] = {"postgres": {"changes": "cdc", "deletes": "soft"}}


class Command(BaseCommand):
    help = "Give the demo its user, sources and checks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--endpoints", required=True, help="The file in which the sandbox says where it listens.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo's data and its well-known password belong into a demo only (DEMO=true).")
        endpoints = json.loads(Path(options["endpoints"]).read_text())
        owner = self._user()
        for slug, (name, schedule, minutes) in SOURCES.items():
            self._source(slug, name, schedule, minutes, owner, endpoints[slug])
        if not Check.objects.of_soda().exists():
            files = settings.BASE_DIR / "sandbox" / "files"
            told = io.StringIO()
            call_command("import_checks", *(str(files / name) for name in CHECK_FILES), stdout=told)
            if options["verbosity"] > 1:
                self.stdout.write(told.getvalue())

    @staticmethod
    def _user() -> Any:
        users = get_user_model()
        user, created = users.objects.get_or_create(
            username=DEMO_USER,
            defaults={"email": "demo@example.com", "is_staff": True, "is_superuser": True, "first_name": "Dana"},
        )
        if created:
            user.set_password(DEMO_PASSWORD)
            user.save()
        return user

    @staticmethod
    def _source(slug: str, name: str, schedule: str, minutes: int, owner: Any, endpoint: dict[str, Any]) -> None:
        """Make the source, or tell the one that is there where the sandbox listens today."""
        connector = get_connector(slug)
        secret_names = {field.name for field in connector.fields if field.is_secret}
        known = {field.name for field in connector.fields}
        values = {key: value for key, value in endpoint.items() if key in known}
        config = {key: value for key, value in values.items() if key not in secret_names}
        secrets = {key: value for key, value in values.items() if key in secret_names}
        with transaction.atomic():
            source = Source.objects.filter(slug=slug).first()
            if source is not None:
                source.config = {**source.config, **config}
                source.secrets = {**source.secrets, **secrets}
                source.save()
                return
            source = Source.objects.create(
                slug=slug,
                name=name,
                connector=slug,
                config={**config, **CHOSEN.get(slug, {})},
                secrets=secrets,
                schedule=schedule,
                timezone="UTC",
                owner=owner,
            )
            offers.apply(source, connector.discover({**source.config, **secrets}))
            source.streams.update(freshness_minutes=minutes, is_enabled=True)
