"""What a check promises and what it found, in plain English. Pure functions of a check's text and plain values."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from portal.text import duration, listed, number, plural
from quality.sodacl import COLUMN_METRICS, CheckText, Kind, Threshold

_COUNTS = ("row_count", "missing_count", "invalid_count", "valid_count", "duplicate_count")
_WORDS = {"=": "exactly", "!=": "anything but", "<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}
_SPAN = re.compile(r"(\d+)([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


# --- values ---------------------------------------------------------------------------------------------------------
def span_of(text: str) -> timedelta | None:
    """ "1d6h" → 30 hours; None when it is no SodaCL duration. A bare number counts hours, as in SodaCL."""
    parts = _SPAN.findall(text)
    if not parts or "".join("".join(part) for part in parts) != text:
        return None
    return timedelta(**{_UNITS[unit]: int(count) for count, unit in parts})


def amount(value: float | str) -> str:
    """171204.0 → "171,204"; 0.12345 → "0.123"; the text of a threshold is read as a duration or number if it is one."""
    if isinstance(value, str):
        if (limit := span_of(value)) is not None:
            return duration(limit) if limit >= timedelta(seconds=10) else f"{limit.seconds} s"
        try:
            return amount(float(value))
        except ValueError:
            return value
    if value == round(value):
        return number(value)
    return number(value, 2 if abs(value) >= 1 else 3).rstrip("0").rstrip(".")


def _allowed(threshold: Threshold) -> str:
    """ "more than 0", "between 1 and 3 %"."""
    percent = " %" if threshold.is_percent else ""
    if threshold.high:
        return f"{threshold.operator} {amount(threshold.low)} and {amount(threshold.high)}{percent}"
    return f"{_WORDS[threshold.operator]} {amount(threshold.low)}{percent}"


def _validity(text: CheckText) -> str:
    """What makes a value valid: "one of a, b", "a valid email", …"""
    config = text.config
    parts = []
    if values := config.get("valid values"):
        parts.append(f"one of {listed([str(value) for value in values], most=8)}")
    if values := config.get("invalid values"):
        parts.append(f"none of {listed([str(value) for value in values], most=8)}")
    if name := config.get("valid format"):
        parts.append(f"a valid {name}")
    if name := config.get("invalid format"):
        parts.append(f"no {name}")
    if "valid regex" in config:
        parts.append("of the expected form")
    if "invalid regex" in config:
        parts.append("not of the forbidden form")
    lengths = {"valid length": "exactly", "valid min length": "at least", "valid max length": "at most"}
    parts += [f"{word} {config[key]} characters long" for key, word in lengths.items() if key in config]
    bounds = {"valid min": "at least", "valid max": "at most"}
    parts += [f"{word} {amount(config[key])}" for key, word in bounds.items() if key in config]
    return " and ".join(parts) or "valid"


def _measured(text: CheckText) -> str:
    """The number that is looked at: "the number of rows", "the average of mrr"."""
    if text.metric == "row_count":
        return "the number of rows"
    if text.metric in COLUMN_METRICS and text.columns:
        return f"the {COLUMN_METRICS[text.metric]} of {listed(text.columns)}"
    return text.metric


def with_article(noun: str) -> str:
    """ "status" → "a status"; "amount" → "an amount"."""
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {noun}"


# --- what it promises -----------------------------------------------------------------------------------------------
def promise(text: CheckText) -> str:
    """A name for a check that nobody named."""
    named = {
        Kind.SCHEMA: lambda: "The columns are as expected",
        Kind.FAILED_ROWS: lambda: _failed_rows_promise(text),
        Kind.REFERENCE: lambda: f"Every {listed(text.columns)} exists in {text.other_table}",
        Kind.SAME_ROWS: lambda: f"Has as many rows as {text.other_table}",
        Kind.ANOMALY: lambda: f"No unusual changes in {_measured(text)}",
        Kind.FRESHNESS: lambda: f"The newest {listed(text.columns)} is {_demand(text)} old",
        Kind.CHANGE: lambda: f"The change in {_measured(text)} is {_demand(text)}",
        Kind.METRIC: lambda: _metric_promise(text),
        Kind.OTHER: lambda: text.line,
    }[text.kind]()
    return (named[:1].upper() + named[1:])[:200]


def _demand(text: CheckText) -> str:
    if text.threshold is not None:
        return _allowed(text.threshold)
    for level in ("fail", "warn"):
        if bad := text.bad_when(level):
            return f"not {_allowed(bad)}"
    return "as expected"


def _failed_rows_promise(text: CheckText) -> str:
    condition = text.config.get("fail condition")
    return f"No row where {' '.join(str(condition).split())}" if condition else "The query finds no bad rows"


def _metric_promise(text: CheckText) -> str:
    nothing = text.threshold == Threshold("=", "0")
    columns = listed(text.columns)
    if text.metric == "row_count" and text.threshold == Threshold(">", "0"):
        return "The table is not empty"
    if text.metric == "missing_count" and nothing:
        return f"Every row has {with_article(columns)}"
    if text.metric == "invalid_count" and nothing:
        return f"Every {columns} is {_validity(text)}"
    if text.metric == "duplicate_count" and nothing:
        return f"No two rows share the same {columns}"
    return f"{_measured(text)} is {_demand(text)}"


# --- what it found --------------------------------------------------------------------------------------------------
def found(text: CheckText, value: float | None, outcome: str, facts: dict[str, Any]) -> str:
    """The sentence of an outcome that was measured (pass, warn, fail).

    value: the number compared (seconds for freshness). facts: what only the library knows (`expected` bounds of an
    anomaly, `problems` of a schema, `before` of a change).
    """
    if text.kind is Kind.SCHEMA:
        problems = facts.get("problems") or []
        return " ".join(problems) if problems else "The columns are as expected."
    if value is None:
        return f"{text.line}: {outcome}."
    if text.kind is Kind.ANOMALY:
        return _anomaly(text, value, facts)
    if text.kind is Kind.CHANGE:
        unit = " %" if text.history and text.history.is_percent else ""
        sign = "+" if value > 0 else ""
        change = f"{_capital(_measured(text))} changed by {sign}{amount(value)}{unit}"
        if "before" in facts:
            change += f" (from {amount(facts['before'])} to {amount(facts['now'])})"
        return f"{change}; {_rule(text, outcome)}."
    if text.kind is Kind.SAME_ROWS:
        if value == 0:
            return f"It has as many rows as {text.other_table}."
        return f"It has {plural(abs(int(value)), 'row')} {'more' if value > 0 else 'fewer'} than {text.other_table}."
    if text.kind is Kind.FRESHNESS:
        newest = f"The newest {listed(text.columns)} is {_age(value)} old"
        return f"{newest}; {_rule(text, outcome)}."
    return f"{_metric(text, value)}; {_rule(text, outcome)}." if _rule(text, outcome) else f"{_metric(text, value)}."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _age(seconds: float) -> str:
    return "less than a second" if abs(seconds) < 1 else duration(seconds)


def _anomaly(text: CheckText, value: float, facts: dict[str, Any]) -> str:
    sentence = f"{_capital(_measured(text))} is {amount(value)}"
    low, high = facts.get("low"), facts.get("high")
    if low is None or high is None:
        return f"{sentence}."
    return f"{sentence}; between {amount(low)} and {amount(high)} was expected from its history."


def _metric(text: CheckText, value: float) -> str:
    count = int(value)
    one = count == 1
    columns = listed(text.columns)
    if text.kind is Kind.FAILED_ROWS:
        rows = "No row" if count == 0 else plural(count, "row")
        condition = " ".join(str(text.config.get("fail condition", "")).split())
        return f"{rows} {'matches' if count < 2 else 'match'} “{condition}”" if condition else f"{rows} found"
    if text.kind is Kind.REFERENCE:
        rows = "No row has" if count == 0 else f"{plural(count, 'row')} {'has' if one else 'have'}"
        return f"{rows} {with_article(columns)} that does not exist in {text.other_table}"
    if text.metric == "row_count":
        return f"The table has {plural(count, 'row')}"
    if text.metric == "missing_count":
        return (
            f"Every row has {with_article(columns)}"
            if count == 0
            else f"{plural(count, 'row')} {_have(one)} no {columns}"
        )
    if text.metric == "invalid_count":
        if count == 0:
            return f"Every {columns} is {_validity(text)}"
        return f"{plural(count, 'row')} {_have(one)} {with_article(columns)} that is not {_validity(text)}"
    if text.metric == "duplicate_count":
        if count == 0:
            return f"No two rows share the same {columns}"
        return f"{plural(count, 'value')} of {columns} {'occurs' if one else 'occur'} more than once"
    percent = " %" if text.metric.endswith("_percent") else ""
    return f"{_capital(_measured(text))} is {amount(value)}{percent}"


def _have(one: bool) -> str:
    return "has" if one else "have"


def _rule(text: CheckText, outcome: str) -> str:
    """What was demanded: "none are allowed", "it must be more than 0"."""
    threshold = text.threshold
    if (
        threshold is None
        and text.kind in (Kind.FAILED_ROWS, Kind.REFERENCE)
        and not {"warn", "fail"} & set(text.config)
    ):
        threshold = Threshold("=", "0")
    counts = text.metric in _COUNTS or text.kind in (Kind.FAILED_ROWS, Kind.REFERENCE)
    if counts and threshold == Threshold("=", "0"):
        return "none are allowed" if outcome != "pass" else ""
    if threshold is not None:
        return f"it must be {_allowed(threshold)}"
    level = "fail" if outcome == "fail" else "warn"
    bad = text.bad_when(level) or text.bad_when("fail")
    if bad is None:
        return ""
    return f"it {'must' if text.bad_when(level) is None or level == 'fail' else 'should'} not be {_allowed(bad)}"


def learning(done: int, needed: int) -> str:
    return f"Learning ({done} of {needed} measurements): nothing is judged until its history is long enough."
