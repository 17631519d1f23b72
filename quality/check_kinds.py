"""The checks that a colleague picks from a list: what a form asks for ↔ SodaCL. Pure, and reversible."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quality.sodacl import CheckText, Kind, Threshold

NO_MISSING = "no_missing"
ROWS_ABOVE = "rows_above"
ONE_OF = "one_of"
FRESHER = "fresher"
BETWEEN = "between"
UNIQUE = "unique"
UNUSUAL = "unusual"
CUSTOM = "custom"

KINDS = {
    NO_MISSING: "A column has no missing values",
    UNIQUE: "A column has no value twice",
    ONE_OF: "A column only has certain values",
    FRESHER: "The newest row is fresher than …",
    ROWS_ABOVE: "The table has more rows than …",
    BETWEEN: "A number is between two values",
    UNUSUAL: "No unusual change of a number (learned from its history)",
    CUSTOM: "Something else, written in SodaCL",
}
STATISTICS = {
    "avg": "average",
    "sum": "sum",
    "min": "smallest value",
    "max": "largest value",
    "row_count": "number of rows",
}
UNITS = {"m": "minutes", "h": "hours", "d": "days"}

# What each kind asks for.
ASKS: dict[str, tuple[str, ...]] = {
    NO_MISSING: ("column",),
    UNIQUE: ("column",),
    ONE_OF: ("column", "values"),
    FRESHER: ("column", "age", "unit"),
    ROWS_ABOVE: ("rows",),
    BETWEEN: ("statistic", "column", "low", "high"),
    UNUSUAL: ("statistic", "column"),
    CUSTOM: ("sodacl",),
}
_AGE = re.compile(r"^(\d+)([mhd])$")


@dataclass(frozen=True)
class Recognised:
    """A check's kind, and what the form of that kind shows for it."""

    kind: str
    answers: Mapping[str, Any]


def render(kind: str, answers: Mapping[str, Any]) -> CheckText:
    """The SodaCL of what was filled in (`CUSTOM` excepted: that is SodaCL already)."""
    column = answers.get("column") or ""
    if kind == NO_MISSING:
        return CheckText(f"missing_count({column}) = 0")
    if kind == UNIQUE:
        return CheckText(f"duplicate_count({column}) = 0")
    if kind == ONE_OF:
        return CheckText(f"invalid_count({column}) = 0", {"valid values": list(answers["values"])})
    if kind == FRESHER:
        return CheckText(f"freshness({column}) < {answers['age']}{answers['unit']}")
    if kind == ROWS_ABOVE:
        return CheckText(f"row_count > {answers['rows']}")
    statistic = answers["statistic"]
    measured = statistic if statistic == "row_count" else f"{statistic}({column})"
    if kind == UNUSUAL:
        return CheckText(f"anomaly detection for {measured}")
    return CheckText(f"{measured} between {_plain(answers['low'])} and {_plain(answers['high'])}")


def _plain(value: Any) -> str:
    """150000.0 → "150000"."""
    number = float(value)
    return str(int(number)) if number.is_integer() else f"{number:f}".rstrip("0")


def recognise(text: CheckText) -> Recognised:
    """The kind that would render exactly this check; `CUSTOM` for everything else."""
    for kind, answers in _candidates(text):
        if render(kind, answers) == text:
            return Recognised(kind, answers)
    return Recognised(CUSTOM, {"sodacl": text.definition})


def _candidates(text: CheckText) -> list[tuple[str, dict[str, Any]]]:
    column = text.columns[0] if len(text.columns) == 1 else ""
    threshold = text.threshold
    found: list[tuple[str, dict[str, Any]]] = []
    if text.kind is Kind.ANOMALY and text.metric in STATISTICS:
        return [(UNUSUAL, {"statistic": text.metric, "column": column})]
    if threshold is None:
        return found
    if threshold == Threshold("=", "0"):
        kind = {"missing_count": NO_MISSING, "duplicate_count": UNIQUE}.get(text.metric)
        if kind:
            found.append((kind, {"column": column}))
        elif text.metric == "invalid_count":
            found.append((ONE_OF, {"column": column, "values": text.config.get("valid values") or []}))
    elif text.kind is Kind.FRESHNESS and (match := _AGE.match(threshold.low)):
        found.append((FRESHER, {"column": column, "age": int(match[1]), "unit": match[2]}))
    elif text.metric == "row_count" and threshold.operator == ">" and threshold.low.isdigit():
        found.append((ROWS_ABOVE, {"rows": int(threshold.low)}))
    elif text.metric in STATISTICS and threshold.operator == "between":
        answers = {"statistic": text.metric, "column": column, "low": threshold.low, "high": threshold.high}
        found.append((BETWEEN, answers))
    return found
