"""Reads one published version of the marts. It never changes, so an answer is kept as long as the cache keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache

from portal.warehouse import get_warehouse

KEEP_SECONDS = 24 * 3600
Row = dict[str, Any]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Published:
    """`location`: what the publication says of itself. Raises `PortalError` when it cannot be read.

    `restated` answers which months were published with other numbers before, the newest first: rows of month,
    restated_on, currency, mrr_before, mrr_after, change, customers, why, sentence.
    """

    location: str
    restated: Callable[[], Sequence[Row]] = tuple

    def has(self, mart: str) -> bool:
        return mart in self._marts()

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

    def _marts(self) -> list[str]:
        return _kept(self.location, "which marts", lambda: sorted(get_warehouse().columns(self.location)))

    def _ask(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        def answer() -> list[Row]:
            result = get_warehouse().query(self.location, sql, parameters)
            return [{name: _plain(value) for name, value in row.items()} for row in result.as_dicts()]

        return _kept(self.location, (sql, list(parameters)), answer)


def _kept(location: str, question: object, answer: Callable[[], Answer]) -> Answer:
    """The answer to a question about a version, from the cache when it was asked before."""
    said = repr((settings.WAREHOUSE_URL, location, question))
    key = f"published:{blake2s(said.encode(), digest_size=16).hexdigest()}"
    kept: Answer | None = cache.get(key)
    if kept is None:
        kept = answer()
        cache.set(key, kept, KEEP_SECONDS)
    return kept


def _plain(value: Any) -> Any:
    """A timestamp at midnight is the day it means: warehouses differ in what they make of a date."""
    return value.date() if isinstance(value, datetime) else value
