"""Sentences that several dashboards say the same way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from portal import text

# Column of the marts → what people call it, in the order one adds them up. The colour follows the same key everywhere.
MOVEMENTS = {
    "new": ("new_mrr", "New"),
    "expansion": ("expansion_mrr", "Expansion"),
    "reactivation": ("reactivated_mrr", "Reactivated"),
    "contraction": ("contraction_mrr", "Contraction"),
    "churn": ("churned_mrr", "Churned"),
    "fx": ("fx_mrr", "Exchange rates"),
}

# The same inside a sentence: "churn took the most".
NOUNS = {
    "new": "new customers",
    "expansion": "expansion",
    "reactivation": "returned customers",
    "contraction": "contraction",
    "churn": "churn",
    "fx": "exchange rates",
}

NO_MRR = "No MRR yet: connect Stripe, or another billing source, and it appears after the first build."


def absent(what: str, mart: str) -> str:
    """Why a section is empty although the dashboard is not."""
    return (
        f"No {what} yet: the published data has no {mart}. It appears once the sources it needs are synced and built."
    )


def month(day: date, *, is_complete: bool | None = True) -> str:
    return f"{day:%B %Y}" if is_complete is not False else f"{day:%B %Y} to date"


def end_of(day: date) -> str:
    return f"the end of {day:%B}"


def change(now: Decimal | None, before: Decimal | None, currency: str, against: date) -> str:
    """ "+$1,600 (+0.9%) against the end of October"; empty when there is nothing to compare with."""
    if now is None or before is None:
        return ""
    ratio = f" ({text.percent((now - before) / before, signed=True)})" if before else ""
    return f"{text.money(now - before, currency, signed=True)}{ratio} against {end_of(against)}"


def points(now: Decimal | None, before: Decimal | None) -> str:
    """The difference of two rates in percentage points: "+0.4 points"."""
    if now is None or before is None:
        return ""
    difference = round(float(now - before) * 100, 1)
    sign = "+" if difference > 0 else ""
    return f"{sign}{text.number(difference or 0.0, 1)} points"


def movement(change_of: Decimal, currency: str) -> str:
    """ "up $1,600", "down $300", "unchanged"."""
    if round(change_of) == 0:
        return "unchanged"
    return f"{'up' if change_of > 0 else 'down'} {text.money(abs(change_of), currency)}"


def largest(row: dict[str, Any], currency: str) -> str:
    """What moved MRR most in a month: "churned took the most, $7,337"; empty when nothing moved."""
    moved = [
        (NOUNS[key], row[column])
        for key, (column, _) in MOVEMENTS.items()
        if row.get(column) is not None and round(row[column]) != 0
    ]
    if not moved:
        return "nothing moved it"
    ups = [one for one in moved if one[1] > 0]
    downs = [one for one in moved if one[1] < 0]
    said = []
    if ups:
        name, amount = max(ups, key=lambda one: one[1])
        said.append(f"{name} brought the most ({text.money(amount, currency, signed=True)})")
    if downs:
        name, amount = min(downs, key=lambda one: one[1])
        said.append(f"{name} took the most ({text.money(amount, currency, signed=True)})")
    return text.listed(said)


def currency_of(rows: Sequence[dict[str, Any]]) -> str:
    return str(next((row["currency"] for row in rows if row.get("currency")), "usd"))


def decimal(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def number(value: Any) -> float | None:
    return None if value is None else float(value)
