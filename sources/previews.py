"""What was seen of a stream when it was looked at, as plain data in a probe's row and as a page shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from portal.failures import TerminalError
from portal.redact import redact
from sources.connectors.base import StreamSpec

# The types of columns in words.
TYPE_WORDS = {
    "text": "text",
    "bigint": "whole number",
    "double": "number",
    "decimal": "number",
    "bool": "yes/no",
    "timestamp": "time",
    "date": "date",
    "json": "nested",
}

FIELD_WORDS = {
    "records": "where the rows are",
    "primary_key": "what a row is known by",
    "cursor_field": "the time of change",
    "paging": "the way of paging",
    "paging_path": "where the next page is named",
}


def to_plain(specs: Iterable[StreamSpec]) -> dict[str, Any]:
    """Stream name → sample, of those that have one; secrets that an API echoes are hidden."""
    return {spec.name: _redacted(asdict(spec.sample)) for spec in specs if spec.sample is not None}


def failure_of(specs: Iterable[StreamSpec]) -> TerminalError | None:
    """One failure for all endpoints that cannot be read as they are set up; None when all can."""
    errors = [spec.sample.error for spec in specs if spec.sample is not None and spec.sample.error]
    if not errors:
        return None
    others = f" ({len(errors) - 1} more below.)" if len(errors) > 1 else ""
    return TerminalError(f"{errors[0]}{others}", "\n".join(errors), kind="preview")


def shown(previews: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For the template: a heading with types, rows beside it, and what to do better."""
    return [
        {
            **sample,
            "name": name,
            "suggestions": [
                {**suggestion, "label": FIELD_WORDS.get(suggestion["field"], suggestion["field"])}
                for suggestion in sample["suggestions"]
            ],
            "head": [
                {"name": column["name"], "type": TYPE_WORDS.get(column["type"], column["type"])}
                for column in sample["columns"]
            ],
        }
        for name, sample in previews.items()
    ]


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(inner) for key, inner in value.items()}
    return [_redacted(inner) for inner in value] if isinstance(value, (list, tuple)) else value
