"""What people write, turned into what SodaCL 3.5 carries out, with a note for each thing that was turned.

    severity: warn | critical                  → the check's severity (also from `attributes: {severity: …}`)
    values in (c) must be in [a, b]            → invalid_count(c) = 0 with `valid values`
    failed_count(c) = 0 with `fail condition`  → failed rows with that condition
    anomaly score for x < default              → anomaly detection for x
    freshness using c < 3h                     → freshness(c) < 3h

SodaCL itself would drop or ignore the first three without a word. What cannot be carried out is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from quality.models import Severity
from quality.sodacl import COLUMN_METRICS, VALIDITY_KEYS, CheckText, Kind, Threshold

_COMMON = ("name", "severity", "attributes")
_LEVELS = ("warn", "fail")
_METRIC_KEYS = (
    "filter", "samples limit", "missing values", "missing format", "missing regex", "include null", *VALIDITY_KEYS
)  # fmt: skip
_ANOMALY_KEYS = ("model", "training_dataset_parameters", "severity_level_parameters")
_ALLOWED: dict[Kind, tuple[str, ...]] = {
    Kind.METRIC: (*_COMMON, *_LEVELS, *_METRIC_KEYS),
    Kind.CHANGE: (*_COMMON, *_LEVELS, *_METRIC_KEYS),
    Kind.OTHER: (*_COMMON, *_LEVELS, *_METRIC_KEYS),
    Kind.ANOMALY: (*_COMMON, *_METRIC_KEYS, *_ANOMALY_KEYS),
    Kind.FRESHNESS: (*_COMMON, *_LEVELS, "filter"),
    Kind.SCHEMA: (*_COMMON, *_LEVELS),
    Kind.FAILED_ROWS: (*_COMMON, *_LEVELS, "fail condition", "fail query", "samples limit"),
    Kind.REFERENCE: (*_COMMON, "samples limit"),
    Kind.SAME_ROWS: _COMMON,
}
_VALUES_IN = re.compile(r"^values in ?\((?P<column>[^()]+)\) must be in (?P<values>\[.*\])$")
_FAILED_COUNT = re.compile(r"^failed_count(?: ?\([^()]*\))? ?(?P<rest>.*)$")
_ANOMALY_SCORE = re.compile(r"^anomaly score for (?P<metric>.+?) < (?P<limit>default|0?\.\d+)$")
_FRESHNESS_USING = re.compile(r"^freshness using (?P<column>\w+)(?: with \w+)? ?(?P<rest><.*)$")
_NOT_OURS = {
    "group by": "Checks by group",
    "group evolution": "Checks of groups over time",
    "distribution_difference": "Checks of distributions",
}
_INVERSE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class NotACheck(ValueError):
    """Why something is refused, as a sentence. `key` is the setting at fault, empty when it is the line itself."""

    def __init__(self, sentence: str, key: str = "") -> None:
        super().__init__(sentence)
        self.key = key


@dataclass
class Translation:
    """A check as it is stored: its text without name and severity, those two beside it, and notes for people."""

    text: CheckText
    name: str = ""
    severity: str = Severity.CRITICAL
    notes: list[str] = field(default_factory=list)


def translate(written: CheckText) -> Translation:
    """Turn one check as written into one that is carried out; raises `NotACheck`."""
    config = dict(written.config)
    result = Translation(written)
    result.name = _take_name(config)
    result.severity = _take_severity(config, result.notes)
    text = _rewritten(CheckText(written.line, config), result.notes)
    _refuse_what_we_cannot_do(text)
    result.text = text
    return result


def _take_name(config: dict[str, Any]) -> str:
    name = config.pop("name", "")
    if not isinstance(name, str):
        raise NotACheck("A name is text; put it in quotes.", "name")
    if len(name) > 200:
        raise NotACheck("A name has at most 200 characters.", "name")
    return " ".join(name.split())


def _take_severity(config: dict[str, Any], notes: list[str]) -> str:
    attributes = config.get("attributes")
    if attributes is not None and not isinstance(attributes, dict):
        raise NotACheck("“attributes” holds settings below it, such as “severity: warn”.", "attributes")
    severity = config.pop("severity", None)
    if attributes and "severity" in attributes:
        others = {key: value for key, value in attributes.items() if key != "severity"}
        if severity not in (None, attributes["severity"]):
            raise NotACheck("Two severities that differ: one as “severity”, one among “attributes”.", "severity")
        severity = attributes["severity"]
        config.pop("attributes")
        if others:
            config["attributes"] = others
    if severity is None:
        return Severity.CRITICAL
    if severity not in Severity.values:
        raise NotACheck(f"The severity is “warn” or “critical”, not “{severity}”.", "severity")
    notes.append("only warns, never holds a publication" if severity == Severity.WARN else "holds the publication")
    return severity


def _rewritten(text: CheckText, notes: list[str]) -> CheckText:
    line, config = text.line, text.config
    if match := _VALUES_IN.match(line):
        try:
            values = YAML(typ="safe").load(match["values"])
        except YAMLError:
            raise NotACheck(f"The list {match['values']} is not readable.") from None
        if not values:
            raise NotACheck("The list of allowed values is empty.")
        line = f"invalid_count({match['column'].strip()}) = 0"
        config = {"valid values": values, **config}
    elif match := _FAILED_COUNT.match(line):
        line, config = "failed rows", _failed_rows_config(match["rest"], config)
    elif match := _ANOMALY_SCORE.match(line):
        line = f"anomaly detection for {match['metric']}"
    elif match := _FRESHNESS_USING.match(line):
        line = f"freshness({match['column']}) {match['rest']}"
    if line != text.line:
        notes.append(f"read as: {line}" + _shown(config, text.config))
    return CheckText(line, config)


def _shown(config: dict[str, Any], before: dict[str, Any]) -> str:
    added = [f"{key}: {value}" for key, value in config.items() if before.get(key) != value or key == "fail condition"]
    return f" with {'; '.join(added)}" if added else ""


def _failed_rows_config(rest: str, config: dict[str, Any]) -> dict[str, Any]:
    if "fail condition" not in config:
        raise NotACheck("“failed_count” needs a “fail condition”: which rows count as failed?")
    if not rest:
        return config
    threshold = Threshold.parse(rest)
    if threshold is None or threshold.is_percent:
        raise NotACheck(f"“failed_count” is compared with a number of rows, not with “{rest}”.")
    if threshold == Threshold("=", "0"):
        return config
    if threshold.high:
        negated = "between" if threshold.operator.startswith("not") else "not between"
        return {**config, "fail": f"when {negated} {threshold.low} and {threshold.high}"}
    return {**config, "fail": f"when {_INVERSE[threshold.operator]} {threshold.low}"}


def _refuse_what_we_cannot_do(text: CheckText) -> None:
    for word, words in _NOT_OURS.items():
        if word in (text.line, text.metric):
            raise NotACheck(f"{words} (“{word}”) cannot be carried out without Soda’s own service.")
    for key, value in text.config.items():
        if key.endswith("sql_file"):
            raise NotACheck("Write the SQL into the check; a file beside it is not kept.", key)
        _refuse_unknown_key(text, key)
        if "${" in str(value):
            raise NotACheck("Variables (“${…}”) are not filled in; write the value.", key)
    if "${" in text.line:
        raise NotACheck("Variables (“${…}”) are not filled in; write the value.")
    if text.kind is Kind.OTHER and not text.metric:
        raise NotACheck(f"“{text.line}” is no SodaCL check.")
    if text.metric in ("invalid_count", "invalid_percent", "valid_count") and not set(VALIDITY_KEYS) & set(text.config):
        raise NotACheck(f"“{text.metric}” needs to know what is valid: add “valid values”, “valid format” or another.")
    if text.kind in (Kind.METRIC, Kind.ANOMALY, Kind.CHANGE, Kind.OTHER):
        _refuse_unknown_metric(text)


def _refuse_unknown_key(text: CheckText, key: str) -> None:
    allowed = _ALLOWED[text.kind]
    own = (f"{text.metric} expression", f"{text.metric} query")
    if key in allowed or (key in own and text.kind in (Kind.METRIC, Kind.ANOMALY, Kind.CHANGE)):
        return
    near = get_close_matches(key, allowed, n=1)
    hint = f" Did you mean “{near[0]}”?" if near else ""
    raise NotACheck(f"“{key}” is no setting of this kind of check.{hint}", key)


def _refuse_unknown_metric(text: CheckText) -> None:
    metric = text.metric
    if text.has_own_sql:
        return
    if metric == "row_count":
        if text.arguments:
            raise NotACheck("“row_count” counts the rows of the table; it takes no column.")
        return
    if metric not in COLUMN_METRICS:
        near = get_close_matches(metric, ["row_count", *COLUMN_METRICS], n=1)
        hint = f" Did you mean “{near[0]}”?" if near else ""
        raise NotACheck(f"“{metric}” is nothing that can be measured.{hint}")
    if not text.columns:
        raise NotACheck(f"“{metric}” needs a column, such as “{metric}(amount)”.")
