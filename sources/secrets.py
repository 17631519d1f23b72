"""Settings as an engine gets them: secrets opened, references to the environment looked up.

A value `${NAME}` stands for the environment variable NAME of the worker: the portal stores the reference, not the
value. Works in secret and in plain fields.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from portal.failures import TerminalError
from sources.connectors.base import FieldKind, FormField

_REFERENCE = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")
_YES_NO = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

# The portal's own keys: whoever may edit a source could otherwise send them to an address of their choice.
PRIVATE = frozenset({"SECRET_KEY", "SECRETS_KEYS", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "WAREHOUSE_URL"})


def reference(value: Any) -> str | None:
    """The variable's name if `value` is a reference to the environment, else None."""
    match = _REFERENCE.match(value) if isinstance(value, str) else None
    return match[1] if match else None


def check_reference(value: Any) -> None:
    """Raise `ValueError` with a sentence when `value` refers to one of the portal's own settings."""
    if (name := reference(value)) in PRIVATE:
        raise ValueError(f"{name} belongs to the portal itself and is not given to other systems.")


def resolved(
    settings: Mapping[str, Any], secrets: Mapping[str, str], fields: Iterable[FormField] = ()
) -> dict[str, Any]:
    """Both together, references replaced and turned into what their field wants.

    Raises `TerminalError` naming each variable that is not set, is the portal's own, or does not fit its field.
    """
    kinds = {field.name: field for field in fields}
    values = {**settings, **secrets}
    missing = []
    for key, value in values.items():
        if (name := reference(value)) is None:
            continue
        try:
            check_reference(value)
        except ValueError as error:
            raise TerminalError(str(error), kind="environment") from None
        if name in os.environ:
            values[key] = _typed(os.environ[name], name, kinds.get(key))
        else:
            missing.append(name)
    if missing:
        raise TerminalError(
            f"The portal's environment has no value for {', '.join(sorted(missing))}.",
            "A setting of this source refers to an environment variable that is not set for the workers.",
            kind="environment",
        )
    return values


def _typed(text: str, name: str, field: FormField | None) -> Any:
    """The variable's text as its field's type; a field that is not known gets the text."""
    if field is None:
        return text
    try:
        if field.kind is FieldKind.INTEGER:
            return int(text)
        if field.kind is FieldKind.BOOLEAN:
            return _YES_NO[text.strip().lower()]
    except (ValueError, KeyError):
        wanted = "a whole number" if field.kind is FieldKind.INTEGER else "yes or no"
        raise TerminalError(
            f"The environment variable {name} should hold {wanted} for “{field.label}”, and does not.",
            kind="environment",
        ) from None
    if field.kind is FieldKind.LIST:
        return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
    return text


def hidden_values(config: Mapping[str, Any], secrets: Mapping[str, str], settings: Mapping[str, Any]) -> list[str]:
    """What of the resolved `settings` must not be written down: secrets, and whatever the environment was asked for."""
    return [
        value
        for key, value in settings.items()
        if isinstance(value, str) and (key in secrets or value != config.get(key))
    ]
