"""Months that were over, and of which something else is published now: marked wherever a month is a row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from metrics.dashboards import words
from metrics.dashboards.published import Row
from portal import text


def marked(shown: list[Row], restated: Sequence[Row]) -> list[Row]:
    """The months, with what was published first and since when it is otherwise, where it is."""
    found: dict[date, Row] = {}
    for row in restated:  # the newest first: the last one seen is what people saw first
        if row["currency"] == words.currency_of(shown):
            restated_on = found.get(row["month"], row)["restated_on"]
            found[row["month"]] = {"first_mrr": row["mrr_before"], "restated_on": restated_on}
    return [{**row, **found.get(row["month"], {})} for row in shown]


def remarks(shown: list[Row]) -> list[str]:
    """A sentence about the marked months, the newest first; [] when there are none."""
    months = [f"{row['month']:%B %Y}" for row in reversed(shown) if "restated_on" in row]
    return [f"Restated after it was first published: {text.listed(months, most=6)}."] if months else []
