"""The company's headline numbers, read from the published marts and from nowhere else.

A publication never changes, so what was read from one is kept until the next. What is absent or unreadable is said in
words; it is never a zero.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.core.cache import cache
from django.utils import timezone

from portal.failures import PortalError
from portal.models import Publication
from portal.warehouse import get_warehouse

logger = logging.getLogger(__name__)

MART = ("mart_finance", "mrr_monthly")
MONTHS_SHOWN = 25
# Columns of the mart, in the order a reader adds them up: (column, label, whether it takes away).
MOVEMENTS = (
    ("new_mrr", "New", False),
    ("expansion_mrr", "Expansion", False),
    ("reactivated_mrr", "Reactivated", False),
    ("contraction_mrr", "Contraction", True),
    ("churned_mrr", "Churned", True),
    ("fx_mrr", "Exchange rates", None),
)
KEEP_SECONDS = 24 * 3600
# Something that could not be read is tried again soon.
RETRY_SECONDS = 20


@dataclass(frozen=True)
class Month:
    month: date
    mrr: Decimal
    customers: int | None


@dataclass(frozen=True)
class Movement:
    label: str
    amount: Decimal


@dataclass(frozen=True)
class Headlines:
    """Up to `MONTHS_SHOWN` months, oldest first; or none and `problem`, a sentence that says why."""

    months: tuple[Month, ...] = ()
    movements: tuple[Movement, ...] = ()
    currency: str = "usd"
    is_to_date: bool = False  # the latest month was not over when this was published
    problem: str = ""

    @property
    def latest(self) -> Month | None:
        return self.months[-1] if self.months else None

    @property
    def before(self) -> Month | None:
        return self.months[-2] if len(self.months) > 1 else None

    @property
    def change(self) -> Decimal | None:
        """MRR of the latest month minus that of the month before; None without one."""
        return self.months[-1].mrr - self.months[-2].mrr if len(self.months) > 1 else None

    @property
    def change_ratio(self) -> Decimal | None:
        return self.change / self.before.mrr if self.change is not None and self.before and self.before.mrr else None

    @property
    def customers_change(self) -> int | None:
        if not self.latest or not self.before or self.latest.customers is None or self.before.customers is None:
            return None
        return self.latest.customers - self.before.customers


def headlines(publication: Publication | None) -> Headlines:
    """The numbers of this publication; never raises."""
    if publication is None:
        return Headlines(problem="Nothing is published yet, so there are no numbers to show.")
    key = f"headlines:{publication.pk}:{publication.location}"
    kept: Headlines | None = cache.get(key)
    if kept is None:
        kept = _read(publication)
        cache.set(key, kept, RETRY_SECONDS if kept.problem else KEEP_SECONDS)
    return kept


def _read(publication: Publication) -> Headlines:
    warehouse = get_warehouse()
    schema, table = MART
    try:
        if f"{schema}.{table}" not in warehouse.columns(publication.location):
            return Headlines(
                problem="The published data holds no MRR yet. It appears once a billing source is synced and built."
            )
        rows = warehouse.query(
            publication.location,
            f"select * from {schema}.{table} order by month desc limit {MONTHS_SHOWN}",
        ).as_dicts()
    except PortalError as error:
        logger.warning("The headline numbers could not be read: %s %s", error.sentence, error.detail)
        return Headlines(problem=f"The headline numbers cannot be shown. {error.sentence}")
    # A column that is missing or empty is unknown; a month without MRR is no number.
    months = [row for row in reversed(rows) if row.get("month") is not None and row.get("mrr") is not None]
    if not months:
        return Headlines(problem="The published MRR has no months yet.")
    return _from_rows(months, publication)


def _from_rows(rows: list[dict[str, Any]], publication: Publication) -> Headlines:
    last = rows[-1]
    published_on = timezone.localtime(publication.finished_at).date() if publication.finished_at else date.max
    month = _day(last["month"])
    return Headlines(
        months=tuple(
            Month(
                _day(row["month"]), Decimal(row["mrr"]), None if row.get("customers") is None else int(row["customers"])
            )
            for row in rows
        ),
        movements=tuple(
            Movement(label, _signed(Decimal(last[column]), takes_away))
            for column, label, takes_away in MOVEMENTS
            if last.get(column) is not None and (takes_away is not None or last[column])
        ),
        currency=str(last.get("currency") or "usd"),
        # The mart itself knows the company's time zone.
        is_to_date=not last["is_complete"]
        if last.get("is_complete") is not None
        else (month.year, month.month) == (published_on.year, published_on.month),
    )


def _signed(amount: Decimal, takes_away: bool | None) -> Decimal:
    return amount if takes_away is None else -abs(amount) if takes_away else amount


def _day(value: Any) -> date:
    return value.date() if hasattr(value, "date") else value
