"""Secrets at rest: encrypted JSON with keys that can be rotated.

`SECRETS_KEYS` is a list of Fernet keys, the newest first. Everything is written with the first and read with any,
so a rotation is: put a new key in front, run `manage.py rotate_keys`, drop the old one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from portal.failures import TerminalError


class Secrets(dict[str, str]):
    """A dict of secret values that never prints them."""

    def __repr__(self) -> str:
        return f"<Secrets: {', '.join(sorted(self)) or 'none'}>"

    __str__ = __repr__


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(values: dict[str, Any]) -> str:
    """Return the token of `values` (JSON) under the newest key."""
    return _fernet(tuple(settings.SECRETS_KEYS)).encrypt(json.dumps(values, sort_keys=True).encode()).decode()


def decrypt(token: str) -> Secrets:
    """Return what `encrypt` was given; raises `TerminalError` when no key in `SECRETS_KEYS` opens it."""
    try:
        return Secrets(json.loads(_fernet(tuple(settings.SECRETS_KEYS)).decrypt(token.encode())))
    except InvalidToken:
        raise TerminalError(
            "The stored secrets cannot be opened with the keys this portal was started with.",
            "None of the keys in SECRETS_KEYS decrypts this value. Put the key it was written with back into the list.",
            kind="secrets",
        ) from None


if TYPE_CHECKING:
    _TextField = models.TextField[Mapping[str, str], Secrets]  # what may be put in, what comes out
else:
    _TextField = models.TextField


class EncryptedField(_TextField):
    """A dict of strings, encrypted in the database. An empty dict is stored as an empty string."""

    def get_prep_value(self, value: Any) -> str:
        if not value:
            return ""
        return encrypt(dict(value))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secrets:
        return decrypt(value) if value else Secrets()

    def to_python(self, value: Any) -> Any:
        # A string is what `value_to_string` wrote into a dump.
        if isinstance(value, str):
            return decrypt(value) if value else Secrets()
        return value

    def value_to_string(self, obj: models.Model) -> str:
        # Serialisers (dumpdata, history) get the encrypted form, never the plain one.
        return self.get_prep_value(self.value_from_object(obj))
