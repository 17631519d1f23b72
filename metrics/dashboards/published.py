"""Reads one published version of the marts. It never changes, so an answer is kept as long as the cache keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2s
from typing import Any

from django.conf import settings
from django.core.cache import cache

from portal.warehouse import get_warehouse

KEEP_SECONDS = 24 * 3600
Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """`location`: what the publication says of itself. Raises `PortalError` when it cannot be read."""

    location: str

    def has(self, mart: str) -> bool:
        return mart in self._columns()

    def rows(
        self,
        mart: str,
        *,
        order: str,
        where: str = "",
        parameters: Sequence[Any] = (),
        limit: int = 10_000,
    ) -> list[Row]:
        """Rows of `mart` ("mart_finance.mrr_monthly"); none when this version has no such mart."""
        if not self.has(mart):
            return []
        condition = f" where {where}" if where else ""
        return self._ask(f"select * from {mart}{condition} order by {order} limit {limit}", parameters)

    def _columns(self) -> dict[str, frozenset[str]]:
        """ "schema.table" → its columns."""
        found: dict[str, set[str]] = {}
        for row in self._ask(
            "select table_schema, table_name, column_name from information_schema.columns"
            " where table_schema like 'mart_%'"
        ):
            found.setdefault(f"{row['table_schema']}.{row['table_name']}", set()).add(row["column_name"])
        return {name: frozenset(columns) for name, columns in found.items()}

    def _ask(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        key = _key(self.location, sql, parameters)
        kept: list[Row] | None = cache.get(key)
        if kept is None:
            result = get_warehouse().query(self.location, sql, parameters)
            kept = [{name: _plain(value) for name, value in row.items()} for row in result.as_dicts()]
            cache.set(key, kept, KEEP_SECONDS)
        return kept


def _key(location: str, sql: str, parameters: Sequence[Any]) -> str:
    said = repr((settings.WAREHOUSE_URL, location, sql, list(parameters)))
    return f"published:{blake2s(said.encode(), digest_size=16).hexdigest()}"


def _plain(value: Any) -> Any:
    """A timestamp at midnight is the day it means: warehouses differ in what they make of a date."""
    return value.date() if isinstance(value, datetime) else value


def month_of(row: Row, column: str = "month") -> date:
    value: date = row[column]
    return value
