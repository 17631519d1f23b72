"""Read a file of Airbyte-style connections: every value with its line, every mistake at once.

    stripe_connection:
      source: stripe
      destination: bigquery
      config: {client_secret: "${STRIPE_SECRET_KEY}"}
      streams: [{name: invoices, sync_mode: incremental, cursor_field: created}]
      schedule: {type: cron, cron_expression: "0 */2 * * *"}

Here is only what the file says and whether it is well-formed; what it means for this portal is `sources.connections`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sources import schedules
from sources.connectors.base import SyncMode

_SYNC_MODES = {
    "incremental": SyncMode.INCREMENTAL,
    "incremental_deduped_history": SyncMode.INCREMENTAL,
    "full_refresh": SyncMode.FULL_REFRESH,
    "full_refresh_overwrite": SyncMode.FULL_REFRESH,
}
_UNITS = {"minutes": "*/{} * * * *", "hours": "0 */{} * * *", "days": "0 0 */{} * *"}


@dataclass(frozen=True, order=True)
class Problem:
    """Something in the file that cannot be taken as it is, and where."""

    line: int
    sentence: str


class BadFile(Exception):
    """The file was refused; nothing of it is used."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__(" ".join(problem.sentence for problem in self.problems))


@dataclass(frozen=True)
class Value:
    """A plain value and the line it stands on."""

    value: Any
    line: int


@dataclass(frozen=True)
class StreamEntry:
    name: str
    line: int
    sync_mode: SyncMode | None = None
    cursor_field: str = ""
    primary_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Connection:
    """One connection. `config` is flat: nested keys are joined by dots. `schedule` None: the file says nothing."""

    key: str
    line: int
    source: str
    source_line: int
    destination: str = ""
    config: dict[str, Value] = field(default_factory=dict)
    config_line: int = 0
    streams: tuple[StreamEntry, ...] = ()
    schedule: str | None = None
    timezone: str = ""

    @property
    def slug(self) -> str:
        """ "stripe_connection" → "stripe"."""
        bare = re.sub(r"[-_](connection|source)$", "", self.key.lower())
        return re.sub(r"[^a-z0-9]+", "-", bare).strip("-")


def read(path: Path) -> list[Connection]:
    """The connections of the file, in its order. Raises `BadFile` with every problem found."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadFile([Problem(0, f"The file cannot be read ({error.strerror}).")]) from None
    except UnicodeDecodeError:
        raise BadFile([Problem(0, "The file is not text in UTF-8.")]) from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or "it cannot be read"
        raise BadFile([Problem(mark.line + 1 if mark else 1, f"This is not YAML: {said}.")]) from None
    reader = _Reader()
    connections = reader.connections(root)
    if reader.problems:
        raise BadFile(reader.problems)
    return connections


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def connections(self, root: yaml.Node | None) -> list[Connection]:
        if root is None or not isinstance(root, yaml.MappingNode):
            self._problem(root, "The file should list connections by name, like “stripe_connection:”.")
            return []
        found = [self._connection(key, node) for key, node in self._items(root)]
        connections = [connection for connection in found if connection is not None]
        self._unique(connections)
        return connections

    def _unique(self, connections: list[Connection]) -> None:
        seen: dict[str, Connection] = {}
        for connection in connections:
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", connection.slug):
                self.problems.append(
                    Problem(
                        connection.line,
                        f"“{connection.key}” gives no short name: begin with a letter, at most 40 letters and digits.",
                    )
                )
            elif connection.slug in seen:
                self.problems.append(
                    Problem(
                        connection.line,
                        f"“{connection.key}” and “{seen[connection.slug].key}” would be the same source "
                        f"({connection.slug}).",
                    )
                )
            seen[connection.slug] = connection

    def _connection(self, key: yaml.ScalarNode, node: yaml.Node) -> Connection | None:
        name = str(key.value)
        if not isinstance(node, yaml.MappingNode):
            self._problem(key, f"“{name}” should be a connection with source, config and streams.")
            return None
        parts = self._known(node, {"source", "destination", "config", "streams", "schedule"}, f"connection “{name}”")
        if "source" not in parts:
            self._problem(key, f"“{name}” does not say its source, such as “source: stripe”.")
            return None
        expression, zone = self._schedule(parts["schedule"]) if "schedule" in parts else (None, "")
        return Connection(
            key=name,
            line=_line(key),
            source=self._text(parts["source"], "source"),
            source_line=_line(parts["source"]),
            destination=self._text(parts["destination"], "destination") if "destination" in parts else "",
            config=self._config(parts["config"]) if "config" in parts else {},
            config_line=_line(parts.get("config", key)),
            streams=self._streams(parts["streams"]) if "streams" in parts else (),
            schedule=expression,
            timezone=zone,
        )

    # --- config -------------------------------------------------------------------------------------------------------
    def _config(self, node: yaml.Node, prefix: str = "") -> dict[str, Value]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, "“config” should be a list of settings, one “name: value” a line.")
            return {}
        flat: dict[str, Value] = {}
        for key, value in self._items(node):
            name = f"{prefix}{key.value}"
            if isinstance(value, yaml.MappingNode):
                flat |= self._config(value, f"{name}.")
            else:
                flat[name] = Value(self._plain(value), _line(key))
        return flat

    def _plain(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child) for child in node.value]
        if isinstance(node, yaml.MappingNode):
            self._problem(node, "A list of settings holds only plain values.")
            return None
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError):
            self._problem(node, f"“{node.value}” is not a value we understand; put it in quotes.")
            return None

    # --- streams ------------------------------------------------------------------------------------------------------
    def _streams(self, node: yaml.Node) -> tuple[StreamEntry, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self._problem(node, "“streams” should be a list, each with “- name: …”.")
            return ()
        entries: dict[str, StreamEntry] = {}
        for child in node.value:
            entry = self._stream(child)
            if entry is None:
                continue
            if entry.name in entries:
                self._problem(child, f"The stream “{entry.name}” stands in line {entries[entry.name].line} already.")
            entries[entry.name] = entry
        return tuple(entries.values())

    def _stream(self, node: yaml.Node) -> StreamEntry | None:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, "Each stream should be “- name: …” with its settings below.")
            return None
        parts = self._known(node, {"name", "sync_mode", "cursor_field", "primary_key"}, "stream")
        if "name" not in parts:
            self._problem(node, "This stream has no name.")
            return None
        mode = None
        if "sync_mode" in parts:
            written = self._text(parts["sync_mode"], "sync_mode")
            mode = _SYNC_MODES.get(written)
            if mode is None:
                self._problem(
                    parts["sync_mode"],
                    f"“{written}” is no way to read a stream here. Write incremental or full_refresh.",
                )
        cursor = self._names(parts["cursor_field"], "cursor_field") if "cursor_field" in parts else ()
        if len(cursor) > 1:
            self._problem(parts["cursor_field"], "A stream goes by one cursor_field only.")
        return StreamEntry(
            name=self._text(parts["name"], "name"),
            line=_line(node),
            sync_mode=mode,
            cursor_field=cursor[0] if cursor else "",
            primary_key=self._names(parts["primary_key"], "primary_key") if "primary_key" in parts else (),
        )

    def _names(self, node: yaml.Node, what: str) -> tuple[str, ...]:
        """A column name, or a list of them (Airbyte also writes lists of one-element lists)."""
        if isinstance(node, yaml.SequenceNode):
            return tuple(name for child in node.value for name in self._names(child, what))
        return (self._text(node, what),)

    # --- schedule -----------------------------------------------------------------------------------------------------
    def _schedule(self, node: yaml.Node) -> tuple[str | None, str]:
        if not isinstance(node, yaml.MappingNode):
            self._problem(node, "“schedule” should say its type: cron, basic or manual.")
            return None, ""
        known = {"type", "cron_expression", "cron_timezone", "timezone", "units", "time_unit"}
        parts = self._known(node, known, "schedule")
        kind = self._text(parts["type"], "type") if "type" in parts else "cron"
        if kind == "manual":
            return "", ""
        if kind == "basic":
            return self._every(node, parts), ""
        if kind != "cron":
            self._problem(parts["type"], f"“{kind}” is no type of schedule. Write cron, basic or manual.")
            return None, ""
        if "cron_expression" not in parts:
            self._problem(node, "This schedule has no cron_expression.")
            return None, ""
        return self._cron(parts["cron_expression"]), self._zone(parts)

    def _cron(self, node: yaml.Node) -> str | None:
        try:
            expression = schedules.canonical(self._text(node, "cron_expression"))
        except ValueError as error:
            self._problem(node, str(error))
            return None
        if not expression:
            self._problem(node, "This cron_expression is empty.")
        return expression

    def _zone(self, parts: dict[str, yaml.Node]) -> str:
        node = parts.get("cron_timezone") or parts.get("timezone")
        if node is None:
            return ""
        zone = self._text(node, "timezone")
        try:
            schedules.check_zone(zone)
        except ValueError as error:
            self._problem(node, str(error))
        return zone

    def _every(self, node: yaml.Node, parts: dict[str, yaml.Node]) -> str | None:
        units = self._plain(parts["units"]) if "units" in parts else None
        unit = self._text(parts["time_unit"], "time_unit") if "time_unit" in parts else ""
        pattern = _UNITS.get(unit if unit.endswith("s") else f"{unit}s")
        fits = {"minutes": 60, "hours": 24}.get(unit if unit.endswith("s") else f"{unit}s", 1)
        if pattern is None or isinstance(units, bool) or not isinstance(units, int) or units < 1 or fits % units:
            self._problem(
                node, "A basic schedule needs units and time_unit that divide the hour or the day: 15 minutes, 2 hours."
            )
            return None
        whole = {"minutes": "0 * * * *", "hours": "0 0 * * *"}
        expression = whole[unit if unit.endswith("s") else f"{unit}s"] if units == fits > 1 else pattern.format(units)
        return schedules.canonical({"0 */1 * * *": "0 * * * *", "0 0 */1 * *": "0 0 * * *"}.get(expression, expression))

    # --- the small print ------------------------------------------------------------------------------------------------
    def _items(self, node: yaml.MappingNode) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, "A name is expected here.")
            elif key.value in seen:
                self._problem(key, f"“{key.value}” stands in line {seen[key.value]} already.")
            else:
                seen[key.value] = _line(key)
                yield key, value

    def _known(self, node: yaml.MappingNode, known: set[str], where: str) -> dict[str, yaml.Node]:
        parts = {}
        for key, value in self._items(node):
            if key.value in known:
                parts[str(key.value)] = value
            else:
                self._problem(key, f"“{key.value}” is not known in a {where}. Known: {', '.join(sorted(known))}.")
        return parts

    def _text(self, node: yaml.Node, what: str) -> str:
        value = self._plain(node) if isinstance(node, yaml.ScalarNode) else None
        if not isinstance(value, str) or not value.strip():
            self._problem(node, f"“{what}” should be a piece of text.")
            return ""
        return value.strip()

    def _problem(self, node: yaml.Node | None, sentence: str) -> None:
        self.problems.append(Problem(_line(node) if node is not None else 1, sentence))


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
