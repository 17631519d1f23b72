"""Encrypt every stored secret again with the newest key: `manage.py rotate_keys`, after putting it first in SECRETS_KEYS.

All or nothing: exit 1 when a value cannot be opened, and then nothing was changed.
"""

from __future__ import annotations

import sys
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import connection, models, transaction

from portal.crypto import EncryptedField, decrypt
from portal.failures import PortalError


class Command(BaseCommand):
    help = "Encrypt every stored secret again with the newest key of SECRETS_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        rotated = 0
        try:
            with transaction.atomic():
                for model in apps.get_models():
                    for field in model._meta.local_fields:
                        if isinstance(field, EncryptedField):
                            rotated += self._rotate(model, field)
        except PortalError as error:
            self.stderr.write(f"{error.sentence} {error.detail} Nothing was changed.")
            sys.exit(1)
        self.stdout.write(f"{rotated} stored secrets now use the newest key. Older keys can be dropped.")

    def _rotate(self, model: type[models.Model], field: EncryptedField) -> int:
        # The stored text itself: reading the field would decrypt it before a failure could name its row.
        table, column, key = (
            connection.ops.quote_name(name or "")
            for name in (model._meta.db_table, field.column, model._meta.pk.column if model._meta.pk else "")
        )
        lock = " for update" if connection.features.has_select_for_update else ""
        with connection.cursor() as cursor:
            cursor.execute(f"select {key}, {column} from {table} where {column} <> ''{lock}")
            rows = cursor.fetchall()
            for pk, token in rows:
                try:
                    values = decrypt(token)
                except PortalError as error:
                    error.detail = f"({model._meta.verbose_name} {pk}.)"
                    raise
                cursor.execute(f"update {table} set {column} = %s where {key} = %s", [field.get_prep_value(values), pk])
        return len(rows)
