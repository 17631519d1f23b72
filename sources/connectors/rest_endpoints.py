"""One endpoint of a REST source, as a person has set it up: where its rows are, how to page, what is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from portal.failures import TerminalError
from sources.connectors.base import Column, StreamSpec, SyncMode
from sources.connectors.rest_columns import column_name, moment_of
from sources.connectors.rest_paths import dotted

FORMATS = {
    "datetime": "Date and time, 2026-03-16T09:30:00Z",
    "date": "Date, 2026-03-16",
    "seconds": "Seconds since 1970, 1773653400",
    "milliseconds": "Milliseconds since 1970, 1773653400000",
}
PAGINGS = {
    "none": "Everything comes in one answer",
    "next_url": "The answer holds the address of the next page",
    "link": "A Link header holds the address of the next page",
    "cursor": "The answer holds a mark (cursor, token) to go on from",
    "page": "By page number: page=1, page=2, …",
    "offset": "By how many rows to skip: offset=0, offset=100, …",
}
TYPES = {
    "text": "text",
    "whole number": "bigint",
    "number": "double",
    "yes/no": "bool",
    "time": "timestamp",
    "date": "date",
    "nested": "json",
}


@dataclass(frozen=True)
class Endpoint:
    """`params`: fixed query parameters. `types`: column → type where a person knows better than the first rows."""

    name: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    records: str = ""
    primary_key: tuple[str, ...] = ()
    cursor_field: str = ""
    cursor_param: str = ""
    cursor_format: str = "datetime"
    start: str = ""
    lookback_minutes: int = 60
    paging: str = "none"
    paging_param: str = ""
    paging_path: str = ""
    has_more: str = ""
    first_page: int = 1
    size_param: str = ""
    size: int = 100
    types: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Endpoint:
        """From what the form keeps: lists of `name=value` lines, and plain values."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__ and value is not None}
        for name in ("params", "types"):
            known[name] = tuple(split_line(line) for line in known.get(name, ()))
        known["primary_key"] = tuple(known.get("primary_key", ()))
        return cls(**known)

    @property
    def is_incremental(self) -> bool:
        return bool(self.cursor_field and self.cursor_param and self.primary_key)

    @property
    def key_columns(self) -> tuple[str, ...]:
        return tuple(column_name(path) for path in self.primary_key)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Paths that must be columns of their own, however deep they are."""
        return tuple(dotted(path) for path in (*self.primary_key, self.cursor_field) if path)

    def spec(self, columns: tuple[Column, ...]) -> StreamSpec:
        return StreamSpec(
            self.name,
            label=self.name,
            description=self.path,
            primary_key=self.key_columns,
            cursor_fields=(column_name(self.cursor_field),) if self.cursor_field and self.cursor_param else (),
            sync_modes=(SyncMode.INCREMENTAL, SyncMode.FULL_REFRESH)
            if self.is_incremental
            else (SyncMode.FULL_REFRESH,),
            columns=self.typed(columns),
            is_learned=True,
        )

    def typed(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        chosen = {column_name(name): TYPES[type_] for name, type_ in self.types}
        return tuple(replace(column, type=chosen.get(column.name, column.type)) for column in columns)

    def since_params(self, since: Any) -> dict[str, str]:
        """The parameter that asks for what changed since the kept cursor, or since the start a person has set."""
        if not self.cursor_param:
            return {}
        if since:
            moment = datetime.fromisoformat(since["value"]) - timedelta(minutes=self.lookback_minutes)
        elif self.start:
            moment = moment_of(self.start) or datetime.now(UTC)
        else:
            return {}
        return {self.cursor_param: formatted(moment, self.cursor_format)}


def formatted(moment: datetime, style: str) -> str:
    moment = moment.astimezone(UTC)
    if style == "date":
        return date(moment.year, moment.month, moment.day).isoformat()
    if style == "datetime":
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(moment.timestamp()) if style == "seconds" else int(moment.timestamp() * 1000))


def split_line(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


def endpoints_of(settings: Mapping[str, Any]) -> list[Endpoint]:
    found = [Endpoint.from_plain(data) for data in settings.get("endpoints") or ()]
    if not found:
        raise TerminalError(
            "This source has no endpoint yet. Say under “Endpoints” which address holds the rows.", kind="settings"
        )
    return found
