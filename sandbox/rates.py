"""The exchange rates the company books with: fixed for half a year, in ``files/fx_rates.csv``."""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "files" / "fx_rates.csv"


@cache
def _table() -> dict[str, list[tuple[dt.date, Decimal]]]:
    table: dict[str, list[tuple[dt.date, Decimal]]] = {}
    with FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            entry = (dt.date.fromisoformat(row["rate_date"]), Decimal(row["usd_rate"]))
            table.setdefault(row["currency"], []).append(entry)
    return table


def to_usd(currency: str, day: dt.date) -> Decimal:
    """How many dollars one unit of a currency is on a day. Raises LookupError when there is no rate."""
    if currency == "usd":
        return Decimal(1)
    found = [rate for valid_from, rate in _table().get(currency, []) if valid_from <= day]
    if not found:
        raise LookupError(f"No exchange rate from {currency} to usd on {day}.")
    return found[-1]
