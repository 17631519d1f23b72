"""One SodaCL check taken apart and put together again, without Soda: pages, forms and the importer use this.

A check is a line (`missing_count(status) = 0`) and a configuration (a mapping below it). What the portal understands
of the line decides which columns must exist, what is quoted and what is said about the outcome; Soda's own parser
decides whether it is SodaCL (`quality.soda_runtime.parse_errors`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import LiteralScalarString

DATASET = re.compile(r"^[A-Za-z_]\w*\.[A-Za-z_]\w*$")

# Metrics of SodaCL 3.5 that look at a column; the value is what people call them.
COLUMN_METRICS = {
    "missing_count": "rows without a value",
    "missing_percent": "share of rows without a value",
    "invalid_count": "invalid rows",
    "invalid_percent": "share of invalid rows",
    "valid_count": "valid rows",
    "duplicate_count": "duplicate values",
    "duplicate_percent": "share of duplicate values",
    "freshness": "age",
    "avg": "average",
    "sum": "sum",
    "min": "minimum",
    "max": "maximum",
    "avg_length": "average length",
    "min_length": "shortest length",
    "max_length": "longest length",
    "percentile": "percentile",
    "stddev": "standard deviation",
    "stddev_pop": "standard deviation",
    "stddev_samp": "standard deviation",
    "variance": "variance",
    "var_pop": "variance",
    "var_samp": "variance",
}
VALIDITY_KEYS = (
    "valid values", "invalid values", "valid format", "invalid format", "valid regex", "invalid regex", "valid min",
    "valid max", "valid length", "valid min length", "valid max length",
)  # fmt: skip

_PREFIX = r"(?:(?P<anomaly>anomaly (?:detection|score)) for |change(?P<change>(?: \w+)*) for )?"
_METRIC = r"(?P<metric>[A-Za-z_]\w*)(?: ?\((?P<args>[^()]*)\))?"
_LINE = re.compile(rf"^{_PREFIX}{_METRIC}(?P<rest>.*)$", re.DOTALL)
_REFERENCE = re.compile(
    r"^values in ?\((?P<columns>[^()]+)\) must (?P<negation>not )?exist in (?P<other>[^\s(]+) ?\((?P<targets>[^()]+)\)$"
)
_SAME_ROWS = re.compile(r"^row_count same as (?P<other>[^\s(]+)$")
_COMPARISON = re.compile(r"^(?P<operator><=|>=|!=|<>|=|<|>)\s*(?P<value>-?\d[\w.]*)\s*(?P<percent>%?)$")
_BETWEEN = re.compile(
    r"^(?P<negation>not )?between\s*(?P<open>[\[(]?)\s*(?P<low>-?\d[\w.]*)\s*%?\s*and\s*(?P<high>-?\d[\w.]*)\s*"
    r"(?P<percent>%?)\s*(?P<close>[\])]?)$"
)
_CHANGE = re.compile(
    r"^(?: (?P<aggregate>avg|min|max) last (?P<last>\d+)| (?P<week>same day last week))?(?P<percent> percent)?$"
)


class Kind(StrEnum):
    METRIC = "metric"
    FRESHNESS = "freshness"
    ANOMALY = "anomaly"
    CHANGE = "change"
    SCHEMA = "schema"
    FAILED_ROWS = "failed rows"
    REFERENCE = "reference"
    SAME_ROWS = "same rows"
    OTHER = "other"


@dataclass(frozen=True)
class Threshold:
    """What is compared with: `operator` is one of = != < <= > >=, "between", "not between"; values as written."""

    operator: str
    low: str
    high: str = ""
    is_percent: bool = False

    @classmethod
    def parse(cls, text: str) -> Threshold | None:
        """ "between 1 and 3" → Threshold; None when it is none we know (Soda may still know it)."""
        text = " ".join(text.split())
        if match := _COMPARISON.match(text):
            operator = "!=" if match["operator"] == "<>" else match["operator"]
            return cls(operator, match["value"], is_percent=bool(match["percent"]))
        if match := _BETWEEN.match(text):
            operator = "not between" if match["negation"] else "between"
            return cls(operator, match["low"], match["high"], is_percent=bool(match["percent"]))
        return None


@dataclass(frozen=True)
class History:
    """What a check compares with: how many earlier measurements, put together how."""

    aggregate: str = "min"
    last: int = 1
    same_day_last_week: bool = False
    is_percent: bool = False


def _identifiers(text: str | None) -> tuple[str, ...]:
    """`a, "b c"` → ("a", "b c")."""
    return tuple(part.strip().strip('"`') for part in (text or "").split(",") if part.strip())


def quoted(identifier: str) -> str:
    """Always quoted: SodaCL reads short names such as d, h, m as durations."""
    return '"' + identifier.replace('"', "") + '"'


@dataclass(frozen=True)
class CheckText:
    """A check: its line and its configuration (plain data, as YAML gives it)."""

    line: str
    config: dict[str, Any] = field(default_factory=dict)

    # --- taking apart -------------------------------------------------------------------------------------------
    @classmethod
    def parse(cls, definition: str) -> CheckText:
        """The check that the YAML of one list item says; raises `ValueError` with a sentence."""
        return _parsed(definition)

    @classmethod
    def from_item(cls, item: Any) -> CheckText:
        """`"row_count > 0"` or `{"row_count > 0": {"name": …}}`; raises `ValueError` with a sentence."""
        if isinstance(item, list) and len(item) == 1:
            item = item[0]
        if isinstance(item, str):
            return cls(" ".join(item.split()))
        if isinstance(item, dict) and len(item) == 1:
            line, config = next(iter(item.items()))
            if isinstance(line, str) and (config is None or isinstance(config, dict)):
                return cls(" ".join(line.split()), {str(key): value for key, value in (config or {}).items()})
        raise ValueError(
            "A check is one line, such as “row_count > 0”, with its settings indented below it after a colon."
        )

    @cached_property
    def _match(self) -> re.Match[str] | None:
        return _LINE.match(self.line)

    @cached_property
    def kind(self) -> Kind:
        if self.line == "schema":
            return Kind.SCHEMA
        if self.line == "failed rows":
            return Kind.FAILED_ROWS
        if _REFERENCE.match(self.line):
            return Kind.REFERENCE
        if _SAME_ROWS.match(self.line):
            return Kind.SAME_ROWS
        match = self._match
        if match is None or (match["rest"].strip() and self.threshold is None):
            return Kind.OTHER
        if match["anomaly"]:
            return Kind.ANOMALY
        if match["change"] is not None:
            return Kind.CHANGE if _CHANGE.match(match["change"]) else Kind.OTHER
        return Kind.FRESHNESS if match["metric"] == "freshness" else Kind.METRIC

    @property
    def metric(self) -> str:
        return self._match["metric"] if self._match else ""

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        return _identifiers(self._match["args"]) if self._match else ()

    @cached_property
    def threshold(self) -> Threshold | None:
        """What the line itself demands; None when the configuration says when to warn and fail, or nothing does."""
        return Threshold.parse(self._match["rest"]) if self._match else None

    def bad_when(self, level: str) -> Threshold | None:
        """The condition under `fail:` or `warn:` ("when < 5"), if it is one we know."""
        value = self.config.get(level)
        return Threshold.parse(value.removeprefix("when ")) if isinstance(value, str) else None

    @cached_property
    def history(self) -> History | None:
        """What a `change …` check compares with; None for other kinds."""
        match = _CHANGE.match(self._match["change"]) if self.kind is Kind.CHANGE and self._match else None
        if match is None:
            return None
        return History(
            aggregate=match["aggregate"] or "min",
            last=int(match["last"] or 1),
            same_day_last_week=bool(match["week"]),
            is_percent=bool(match["percent"]),
        )

    @property
    def needs_history(self) -> bool:
        return self.kind in (Kind.ANOMALY, Kind.CHANGE)

    @property
    def has_own_sql(self) -> bool:
        return any(key.endswith((" expression", " query")) for key in self.config)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of its table that the line names."""
        if reference := _REFERENCE.match(self.line):
            return _identifiers(reference["columns"])
        if self.kind in (Kind.SCHEMA, Kind.FAILED_ROWS, Kind.SAME_ROWS, Kind.OTHER):
            return ()
        if self.metric in ("freshness", "percentile"):
            return self.arguments[:1]
        return self.arguments

    @property
    def other_table(self) -> str:
        """The second table of a comparison, as written; empty when there is none."""
        match = _REFERENCE.match(self.line) or _SAME_ROWS.match(self.line)
        return match["other"].replace('"', "") if match else ""

    @property
    def target_columns(self) -> tuple[str, ...]:
        match = _REFERENCE.match(self.line)
        return _identifiers(match["targets"]) if match else ()

    # --- putting together ---------------------------------------------------------------------------------------
    def rendered_line(self, columns: dict[str, str], schema: str, quote: Callable[[str], str] = quoted) -> str:
        """The line with every identifier quoted, in the spelling of the table (`columns`: lower case → spelling)."""

        def spelled(name: str) -> str:
            return quote(columns.get(name.lower(), name))

        if other := self.other_table:
            target = other if "." in other else f"{schema}.{other}"
            if self.kind is Kind.SAME_ROWS:
                return f"row_count same as {target}"
            reference = _REFERENCE.match(self.line)
            negation = "not " if reference and reference["negation"] else ""
            sources = ", ".join(spelled(name) for name in self.columns)
            return (
                f"values in ({sources}) must {negation}exist in {target} "
                f"({', '.join(quote(name) for name in self.target_columns)})"
            )
        if not self.columns or self._match is None:
            return self.line
        start, end = self._match.span("args")
        rest = [*(spelled(name) for name in self.columns), *self.arguments[len(self.columns) :]]
        return self.line[:start] + ", ".join(rest) + self.line[end:]

    def measuring_only(self) -> CheckText:
        """The same metric without a judgement: for a check whose history is too short to judge by."""
        match = self._match
        arguments = f"({match['args']})" if match and match["args"] is not None else ""
        kept = {
            key: value
            for key, value in self.config.items()
            if key not in ("warn", "fail", "model", "training_dataset_parameters", "severity_level_parameters")
        }
        return CheckText(f"{self.metric}{arguments}", {**kept, "fail": "when < -999999999999999"})

    def as_item(self, **extra: Any) -> Any:
        """The list item for a SodaCL file: a line, or a mapping when there is any configuration."""
        config = {**extra, **self.config}
        return {self.line: config} if config else self.line

    @property
    def definition(self) -> str:
        """The canonical YAML of this check, without the leading dash."""
        return dump(self.as_item())


@lru_cache(maxsize=4096)
def _parsed(definition: str) -> CheckText:
    # The same few hundred definitions are read at every scan. Nobody writes into a check's configuration.
    try:
        item = YAML(typ="safe").load(definition)
    except YAMLError as error:
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise ValueError(f"This is not readable: {problem}.") from None
    return CheckText.from_item(item)


def dump(data: Any) -> str:
    """YAML as people write it: short lists on one line, long text as blocks, no aliases."""
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    writer.dump(_laid_out(data), stream)
    return stream.getvalue().removesuffix("...\n").strip("\n")


def _laid_out(data: Any, *, is_section: bool = False) -> Any:
    if isinstance(data, dict):
        return CommentedMap(
            (key, _laid_out(value, is_section=str(key).startswith("checks for "))) for key, value in data.items()
        )
    if isinstance(data, list):
        sequence = CommentedSeq(_laid_out(value) for value in data)
        if not is_section and not any(isinstance(value, dict | list) for value in data):
            sequence.fa.set_flow_style()
        return sequence
    if isinstance(data, str) and "\n" in data:
        return LiteralScalarString(data)
    return data
