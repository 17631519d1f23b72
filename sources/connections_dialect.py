"""Airbyte's names for settings, and ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sources.connections_file import Problem, Value
from sources.connectors.base import Connector, FieldKind

# Connector → the file's key → our field.
ALIASES: dict[str, dict[str, str]] = {
    "stripe": {"client_secret": "api_key", "secret_key": "api_key", "api_url": "base_url"},
    "github": {
        "access_token": "token",
        "credentials.access_token": "token",
        "credentials.personal_access_token": "token",
        "repository": "repositories",
        "api_url": "base_url",
    },
    "hubspot": {"credentials.access_token": "access_token", "api_url": "base_url"},
    "postgres": {
        "username": "user",
        "ssl_mode.mode": "sslmode",
        "replication_method.method": "replication_method",
        "replication_method.replication_slot": "slot",
        "replication_method.publication": "publication",
    },
}

# Connector → a key that has no meaning here → why that is all right.
NEEDLESS: dict[str, dict[str, str]] = {
    "stripe": {
        "account_id": "account_id is not needed: the key belongs to one account.",
        "start_date": "start_date is not used: everything is read from the beginning.",
    },
    "github": {
        "credentials.option_title": "",
        "start_date": "start_date is not used: everything is read from the beginning.",
    },
    "hubspot": {
        "credentials.credentials_title": "",
        "start_date": "start_date is not used: everything is read from the beginning.",
        "enable_experimental_streams": "",
    },
    "postgres": {},
}


@dataclass
class Translated:
    """Our fields with the file's values; what was left out and why; what nobody knows."""

    values: dict[str, Value] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def translate(connector: Connector, config: Mapping[str, Value]) -> Translated:
    """`config` (flat, the file's keys) in the words of `connector`'s fields."""
    result = Translated()
    fields = {field.name: field for field in connector.fields}
    aliases = ALIASES.get(connector.name, {})
    needless = NEEDLESS.get(connector.name, {})
    for key, value in config.items():
        name = aliases.get(key, key)
        if name in fields:
            if name in result.values:
                result.problems.append(Problem(value.line, f"“{key}” says “{fields[name].label}” a second time."))
            listed = isinstance(value.value, str) and fields[name].kind is FieldKind.LIST
            result.values[name] = Value(value.value.split(), value.line) if listed else value
        elif key in needless:
            result.notes += filter(None, [needless[key]])
        elif connector.name == "postgres" and name in _POSTGRES:
            _POSTGRES[name](result, value)
        else:
            known = ", ".join([*fields, *aliases, *needless])
            result.problems.append(
                Problem(value.line, f"“{key}” is not a setting of {connector.label}. Known: {known}.")
            )
    return result


def _ssl(result: Translated, value: Value) -> None:
    if not isinstance(value.value, bool):
        result.problems.append(Problem(value.line, "“ssl” should be true or false."))
    elif "sslmode" not in result.values:
        result.values["sslmode"] = Value("require" if value.value else "disable", value.line)


def _replication(result: Translated, value: Value) -> None:
    method = str(value.value).lower()
    if method in ("cdc", "standard", "xmin"):
        result.values["changes"] = Value("cdc" if method == "cdc" else "cursor", value.line)
    else:
        result.problems.append(
            Problem(value.line, f"“{value.value}” is no replication method. Write CDC, Standard or Xmin.")
        )


_POSTGRES: dict[str, Any] = {"ssl": _ssl, "replication_method": _replication}
