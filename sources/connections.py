"""Make sources of a company's connections: the same file twice changes nothing the second time.

What the file says wins; what it leaves open stays as people have set it in the admin. A system without a connector is
kept, switched off, with a note: silence would be worse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from sources import audit, logs, offers, probes, schedules
from sources.connections_dialect import translate
from sources.connections_file import BadFile, Connection, Problem, StreamEntry
from sources.connectors import find_connector
from sources.connectors.base import FieldKind, StreamSpec, SyncMode
from sources.engines import engine_for
from sources.forms import clean_setting
from sources.models import Source, Stream
from sources.secrets import reference


@dataclass
class Imported:
    """What became of one connection."""

    source: Source
    is_new: bool = False
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sign(self) -> str:
        return "+" if self.is_new else "~" if self.changes else "="


@dataclass(frozen=True)
class _Settings:
    config: dict[str, Any]
    secrets: dict[str, str]
    notes: list[str]


def apply(connections: Iterable[Connection], *, origin: str) -> list[Imported]:
    """Create or update a source for each connection, all or none. Raises `BadFile` with every problem.

    `origin` is the file's name, for the sources' history.
    """
    problems: list[Problem] = []
    imported = []
    with transaction.atomic():
        for connection in connections:
            try:
                imported.append(_Import(connection, origin).run())
            except BadFile as error:
                problems += error.problems
        if problems:
            raise BadFile(problems)
    return imported


class _Import:
    def __init__(self, connection: Connection, origin: str) -> None:
        self.connection = connection
        self.origin = origin
        self.connector = find_connector(connection.source)
        existing = Source.objects.filter(slug=connection.slug).first()
        self.result = Imported(existing or Source(slug=connection.slug), is_new=existing is None)

    def run(self) -> Imported:
        source = self.result.source
        self._check_identity()
        settings = self._settings()
        if self.result.is_new:
            source.connector = self.connection.source
            source.engine = engine_for(source.connector)
            source.name = self.connector.label if self.connector else self.connection.source.capitalize()
            source.is_enabled = self.connector is not None
        self._take_settings(settings)
        self._take_schedule()
        if self.result.is_new or self.result.changes:
            audit.explain(source, f"Imported from {self.origin}. {'; '.join(self.result.changes)}".strip())
            source.save()
        self._take_streams()
        self._notes(settings)
        return self.result

    def _check_identity(self) -> None:
        source, connection = self.result.source, self.connection
        if not self.result.is_new and source.connector != connection.source:
            raise _bad(
                connection.source_line,
                f"“{source.slug}” is a {source.connector} source in this portal, and {connection.source} here.",
            )
        if self.result.is_new:
            others = Source.objects.only("slug", "name")
            if any(other.dataset == source.dataset for other in others):
                raise _bad(connection.line, f"Another source keeps its tables in {source.dataset} already.")

    # --- settings -----------------------------------------------------------------------------------------------------
    def _settings(self) -> _Settings:
        if self.connector is None:
            # Nobody can say which of these are secret, so all of them are kept as secrets.
            values = {name: str(value.value) for name, value in self.connection.config.items()}
            return _Settings({}, values, [])
        translated = translate(self.connector, self.connection.config)
        problems = list(translated.problems)
        config, secrets, notes = {}, {}, list(translated.notes)
        fields = {field.name: field for field in self.connector.fields}
        for name, value in translated.values.items():
            field_ = fields[name]
            try:
                cleaned = clean_setting(field_, value.value)
            except ValidationError as error:
                problems.append(Problem(value.line, f"{field_.label}: {' '.join(error.messages)}"))
                continue
            if field_.is_secret:
                secrets[name] = cleaned
                if reference(cleaned) is None:
                    notes.append(
                        f"{field_.label} stands in the file itself. It is stored encrypted; better take it out of the "
                        f"file and write ${{NAME}}."
                    )
            else:
                config[name] = cleaned
        problems += self._missing(config, secrets, set(translated.values))
        if problems:
            raise BadFile(problems)
        return _Settings(config, secrets, notes)

    def _missing(self, config: dict[str, Any], secrets: dict[str, str], said: set[str]) -> Iterable[Problem]:
        source = self.result.source
        stored = {} if self.result.is_new else {**source.config, **source.secrets}
        for field_ in self.connector.fields if self.connector else ():
            if field_.name in said:
                continue
            if self.result.is_new and field_.default is not None and not field_.is_secret:
                config[field_.name] = field_.default
            elif not field_.applies({**source.config, **config}):
                continue
            elif field_.required and field_.kind is not FieldKind.BOOLEAN and field_.name not in stored:
                yield Problem(self.connection.config_line, f"“{field_.label}” is needed and not in this config.")

    def _take_settings(self, settings: _Settings) -> None:
        source = self.result.source
        labels = {field.name: field.label for field in self.connector.fields} if self.connector else {}
        for name, value in settings.config.items():
            if source.config.get(name) != value:
                source.config = {**source.config, name: value}
                self._changed(f"{labels.get(name, name)}: {_shown(value)}")
        for name, value in settings.secrets.items():
            if source.secrets.get(name) != value:
                source.secrets = {**source.secrets, name: value}
                variable = reference(value)
                said = f"read from the environment variable {variable}" if variable else "set"
                self._changed(f"{labels.get(name, name)}: {said}")

    def _take_schedule(self) -> None:
        source, connection = self.result.source, self.connection
        if connection.schedule is None:
            if self.result.is_new and logs.is_followed(source.connector, source.config):
                source.schedule = logs.SCHEDULE
                self._changed(f"read: {schedules.in_words(source.schedule, source.timezone)}")
            elif self.result.is_new:
                self.result.notes.append("The file gives it no schedule, so it is read only by hand.")
            return
        zone = connection.timezone or source.timezone
        if (source.schedule, source.timezone) != (connection.schedule, zone):
            source.schedule, source.timezone = connection.schedule, zone
            self._changed(f"read: {schedules.in_words(source.schedule, zone)}")

    # --- streams ------------------------------------------------------------------------------------------------------
    def _take_streams(self) -> None:
        specs = {spec.name: spec for spec in offers.fixed(self.connector)} if self.connector else {}
        unknown = [entry for entry in self.connection.streams if specs and entry.name not in specs]
        if unknown:
            label = self.connector.label if self.connector else ""
            raise BadFile(
                [
                    Problem(entry.line, f"{label} has no stream “{entry.name}”. It has: {', '.join(specs)}.")
                    for entry in unknown
                ]
            )
        if specs:
            offers.apply(self.result.source, specs.values())
        wanted = {entry.name for entry in self.connection.streams}
        for entry in self.connection.streams:
            self._take_stream(entry, specs.get(entry.name))
        for spec in specs.values():
            # What comes inside another stream's answers belongs to what the company reads today.
            if self.result.is_new and spec.comes_with in wanted and spec.name not in wanted:
                self._take_stream(StreamEntry(spec.name, self.connection.line), spec)

    def _take_stream(self, entry: StreamEntry, spec: StreamSpec | None) -> None:
        source = self.result.source
        stream = source.streams.filter(name=entry.name).first() or Stream(source=source, name=entry.name)
        is_new = stream.pk is None
        before = (stream.is_enabled, stream.sync_mode, stream.cursor_field, list(stream.primary_key))
        if is_new or self.result.is_new:
            stream.is_enabled = True
        if is_new and logs.is_followed(source.connector, source.config):
            stream.freshness_minutes = logs.PROMISED_MINUTES
        if entry.sync_mode is not None:
            stream.sync_mode = self._mode(entry, spec)
        if entry.cursor_field:
            stream.cursor_field = self._cursor(entry, spec)
        if entry.primary_key:
            stream.primary_key = self._key(entry, spec)
        if is_new or before != (stream.is_enabled, stream.sync_mode, stream.cursor_field, list(stream.primary_key)):
            stream.save()
            self._changed(_stream_in_words(stream))

    def _mode(self, entry: StreamEntry, spec: StreamSpec | None) -> str:
        mode = entry.sync_mode or SyncMode.INCREMENTAL
        if spec is not None and mode not in offers.possible_modes(spec):
            possible = offers.possible_modes(spec)[0]
            self.result.notes.append(f"{entry.name} can only be read as {possible.value}, so that is how it is read.")
            return possible.value
        return mode.value

    def _cursor(self, entry: StreamEntry, spec: StreamSpec | None) -> str:
        if spec is not None and entry.cursor_field not in spec.cursor_fields:
            known = ", ".join(spec.cursor_fields) or "nothing"
            raise _bad(entry.line, f"“{entry.name}” cannot go by {entry.cursor_field}. It goes by: {known}.")
        return entry.cursor_field

    def _key(self, entry: StreamEntry, spec: StreamSpec | None) -> list[str]:
        if spec is not None and entry.primary_key not in offers.possible_keys(spec):
            raise _bad(
                entry.line,
                f"A row of “{entry.name}” is known by {', '.join(spec.primary_key) or 'no such column'}, not by "
                f"{', '.join(entry.primary_key)}.",
            )
        return list(entry.primary_key)

    # --- what people should know ------------------------------------------------------------------------------------------
    def _notes(self, settings: _Settings) -> None:
        source, notes = self.result.source, self.result.notes
        notes += settings.notes
        if self.connector is None:
            notes.insert(
                0,
                f"There is no connector called “{self.connection.source}” yet. What the file says is kept, and the "
                "source stays switched off until there is one.",
            )
            return
        if not source.is_enabled:
            notes.append("It is switched off in this portal, and stays so.")
        if not offers.fixed(self.connector) and source.streams.filter(offered={}).exists():
            probes.ask_saved(source)
            notes.append("Its tables are looked up next, to know their cursors and keys.")
        if self.result.is_new and logs.is_followed(source.connector, source.config):
            notes.append(
                f"Its log is followed: read every 5 minutes, promised within {logs.PROMISED_MINUTES}. The connection test "
                "says what its database must allow."
            )
        elif self.result.is_new:
            notes.append("How fresh its data must be is not promised yet: say it in the admin.")

    def _changed(self, sentence: str) -> None:
        self.result.changes.append(sentence)


def _stream_in_words(stream: Stream) -> str:
    if stream.sync_mode == Stream.SyncMode.FULL_REFRESH:
        return f"stream {stream.name}: everything, each time"
    cursor = f", by {stream.cursor_field}" if stream.cursor_field else ""
    return f"stream {stream.name}: new and changed rows{cursor}"


def _shown(value: Any) -> str:
    if (variable := reference(value)) is not None:
        return f"read from the environment variable {variable}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _bad(line: int, sentence: str) -> BadFile:
    return BadFile([Problem(line, sentence)])
