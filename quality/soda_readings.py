"""What Soda's check objects say after a scan, as plain values. Reads attributes only: Soda is not imported here."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from numbers import Real
from typing import Any

from portal.text import duration, listed
from quality.sodacl import CheckText, Kind

# A time further ahead than this is no clock that runs a little fast: its column cannot say how fresh the data is.
FUTURE_TOLERANCE = timedelta(hours=1)
FUTURE_TOLERANCE_OF_DATES = timedelta(hours=26)

_POINTS_LEFT = re.compile(r"only has (\d+)|only (\d+)|reduced to (\d+)")


@dataclass
class Reading:
    """One check after a scan.

    outcome: "pass", "warn", "fail", or "" when Soda gave none. value: what was compared (seconds for freshness).
    metric, measured: identity and value of what history is kept of. problem: why there is no outcome, as a sentence.
    points: how many measurements the detector found, when it found too few.
    """

    outcome: str = ""
    value: float | None = None
    metric: str = ""
    measured: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    sql: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    problem: str = ""
    points: int | None = None


def read(check: Any, text: CheckText) -> Reading:
    """What this Soda check says about the check `text`."""
    reading = Reading(outcome=check.outcome.value if check.outcome is not None else "")
    _read_metrics(check, reading)
    reading.value = _finite(getattr(check, "check_value", None))
    if text.kind is Kind.FRESHNESS:
        _read_freshness(check, text, reading)
    elif text.kind is Kind.SCHEMA:
        reading.facts["problems"] = _schema_problems(check)
    elif text.kind is Kind.ANOMALY:
        _read_anomaly(check, reading)
    elif text.kind is Kind.CHANGE and (values := getattr(check, "historic_diff_values", None)):
        reading.facts |= {"before": values["historic_value"], "now": values["metric_value"]}
    if text.kind not in (Kind.SCHEMA, Kind.FRESHNESS) and not reading.problem:
        _refuse_what_is_no_number(check, text, reading)
    return reading


def _read_metrics(check: Any, reading: Reading) -> None:
    seen: set[str] = set()
    for metric in check.metrics.values():
        for query in [*metric.queries]:
            if query.sql and query.sql not in seen:
                seen.add(query.sql)
                reading.sql.append(query.sql.strip())
            if query.exception is not None and str(query.exception).strip():
                reading.errors.append(str(query.exception).strip())
    first = next(iter(check.metrics.values()), None)
    if first is not None:
        reading.metric = first.identity[:255]
        reading.measured = _finite(first.value)


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value) if math.isfinite(value) else None


def _refuse_what_is_no_number(check: Any, text: CheckText, reading: Reading) -> None:
    """A comparison with NaN is false both ways, so Soda lets it pass; a metric without a value is not judged."""
    measured = [metric.value for metric in check.metrics.values()]
    if any(isinstance(value, Real) and not math.isfinite(value) for value in measured):
        reading.outcome = ""
        reading.problem = f"{text.metric} of {listed(text.columns)} is not a number, so this could not be checked."
    elif any(value is None for value in measured) and not reading.errors:
        reading.outcome = ""
        what = f"{text.metric} of {listed(text.columns)}" if text.columns else text.metric
        reading.problem = f"{what} has no value (there are no rows to compute it from), so this could not be checked."
    elif any(isinstance(value, str | datetime | date) for value in measured):
        reading.outcome = ""
        reading.problem = f"{text.metric} of {listed(text.columns)} is not a number, so this could not be checked."


# --- freshness ------------------------------------------------------------------------------------------------------
def _read_freshness(check: Any, text: CheckText, reading: Reading) -> None:
    newest = next(iter(check.metrics.values())).value
    reading.measured = None
    column = listed(text.columns)
    if newest is None:
        # Soda calls it a failure, which it is: nothing is not fresh.
        reading.facts["sentence"] = f"No row has a {column}, so nothing is fresh."
        return
    age = (check.freshness_values or {}).get("freshness")
    if not isinstance(newest, date) or not isinstance(age, timedelta):
        if not reading.errors:
            reading.outcome = ""
            reading.problem = f"{column} holds no times, so its freshness cannot be judged."
        return
    reading.value = age.total_seconds()
    is_time = isinstance(newest, datetime)
    if age < -(FUTURE_TOLERANCE if is_time else FUTURE_TOLERANCE_OF_DATES):
        reading.outcome = ""
        reading.problem = (
            f"The newest {column} lies {duration(-age)} in the future, so it cannot say how fresh the data is. "
            "Is it in another time zone than UTC?"
        )
    elif age < timedelta(0):
        reading.value = 0.0


# --- schema ---------------------------------------------------------------------------------------------------------
def _schema_problems(check: Any) -> list[str]:
    problems = []
    for result in (check.fail_result, check.warn_result):
        if result is None:
            continue
        if result.missing_column_names:
            problems.append(f"Missing: {listed(sorted(result.missing_column_names), most=8)}.")
        if result.present_column_names:
            problems.append(f"Not allowed but there: {listed(sorted(result.present_column_names), most=8)}.")
        for name, types in result.column_type_mismatches.items():
            problems.append(f"{name} is {types['actual_type']}, not {types['expected_type']}.")
        if result.column_index_mismatches:
            problems.append(f"In another place: {listed(sorted(result.column_index_mismatches), most=8)}.")
    return list(dict.fromkeys(problems))


# --- anomaly --------------------------------------------------------------------------------------------------------
def _read_anomaly(check: Any, reading: Reading) -> None:
    diagnostics = getattr(check, "diagnostics", None) or {}
    value = _finite(diagnostics.get("value"))
    reading.value = value if diagnostics else reading.measured
    if diagnostics.get("anomalyErrorCode") == "not_enough_measurements_custom":
        reading.outcome = ""
        match = _POINTS_LEFT.search(diagnostics.get("anomalyErrorMessage") or "")
        reading.points = int(next(group for group in match.groups() if group)) if match else 0
        return
    if diagnostics.get("anomalyErrorCode") == "all_freq_detection_attempts_failed":
        reading.outcome = ""
        reading.problem = "The times of its measurements have no rhythm, so nothing can be called unusual yet."
        return
    bounds = diagnostics.get("warn") or {}
    facts = {
        "low": _finite(bounds.get("lessThanOrEqual")),
        "high": _finite(bounds.get("greaterThanOrEqual")),
        "expected": _finite(diagnostics.get("anomalyPredictedValue")),
    }
    reading.facts |= {key: value for key, value in facts.items() if value is not None}
    if reading.outcome and reading.value is None:
        # The detector answers "pass" when it has nothing to answer with.
        reading.outcome = ""
        reading.problem = "The detector gave no answer, so nothing is known about unusual changes."
