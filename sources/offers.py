"""What a source offers: streams as a connector describes them, as plain data, and as rows of a source.

`to_plain` / `from_plain` carry them through a probe's row; `apply` brings a source's streams up to date without
touching what people chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction

from sources.connectors.base import Column, Connector, StreamSpec, SyncMode
from sources.models import Source, Stream


@dataclass(frozen=True)
class Applied:
    """Names, by what happened to them."""

    new: list[str] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)  # new, and set up by a person: read at once
    gone: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        parts = []
        if self.new:
            parts.append(f"New: {', '.join(self.new)}. Nothing of it is read until you tick it.")
        if self.asked_for:
            parts.append(f"New, and read from now on: {', '.join(self.asked_for)}.")
        if self.back:
            parts.append(f"Offered again: {', '.join(self.back)}.")
        if self.gone:
            parts.append(f"No longer offered: {', '.join(self.gone)}.")
        return " ".join(parts) or "The streams are the ones you know."


def to_plain(spec: StreamSpec) -> dict[str, Any]:
    """`spec` as JSON-ready data; columns as [name, type] or [name, type, path]."""
    return {
        "name": spec.name,
        "label": spec.label,
        "description": spec.description,
        "primary_key": list(spec.primary_key),
        "cursor_fields": list(spec.cursor_fields),
        "sync_modes": [mode.value for mode in spec.sync_modes],
        "columns": [_plain_column(column) for column in spec.columns],
        "permission": spec.permission,
        "comes_with": spec.comes_with,
        "other_keys": [list(key) for key in spec.other_keys],
        "is_followed": spec.is_followed,
        **({"is_learned": True} if spec.is_learned else {}),
    }


def _plain_column(column: Column) -> list[str]:
    return [column.name, column.type, *([column.path] if column.path else [])]


def learned_columns(offered: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns that were learned by looking and that every read keeps to; () when the connector knows them."""
    return from_plain({"name": "", **offered}).columns if offered.get("is_learned") else ()


def from_plain(data: Mapping[str, Any]) -> StreamSpec:
    return StreamSpec(
        name=data["name"],
        label=data.get("label", ""),
        description=data.get("description", ""),
        primary_key=tuple(data.get("primary_key", ())),
        cursor_fields=tuple(data.get("cursor_fields", ())),
        sync_modes=tuple(SyncMode(mode) for mode in data.get("sync_modes", ())),
        columns=tuple(Column(*entry) for entry in data.get("columns", ())),
        permission=data.get("permission", ""),
        comes_with=data.get("comes_with", ""),
        other_keys=tuple(tuple(key) for key in data.get("other_keys", ())),
        is_followed=data.get("is_followed", False),
        is_learned=data.get("is_learned", False),
    )


def fixed(connector: Connector) -> list[StreamSpec]:
    """The streams every account of this system has; [] when one must ask. Never makes a request."""
    return list(getattr(connector, "streams", ()))


def possible_modes(spec: StreamSpec) -> list[SyncMode]:
    """Incremental needs a cursor to go by and a key to merge on; without them only a full refresh is sound.

    A stream that is followed goes by its source's log and needs no cursor.
    """
    can_merge = bool(spec.cursor_fields or spec.is_followed) and bool(spec.primary_key or spec.columns)
    parent_decides = bool(spec.comes_with)
    return [mode for mode in spec.sync_modes if mode is SyncMode.FULL_REFRESH or can_merge or parent_decides] or [
        SyncMode.FULL_REFRESH
    ]


def possible_keys(spec: StreamSpec) -> list[tuple[str, ...]]:
    """The system's own key where it has one, and what may stand in for it; else a person says which column is unique."""
    if spec.primary_key:
        return [spec.primary_key, *spec.other_keys]
    return [(), *((column.name,) for column in spec.columns)]


def suggested(spec: StreamSpec) -> dict[str, Any]:
    """The settings of a stream that nobody has chosen anything for yet."""
    modes = possible_modes(spec)
    # Without a declared key nobody has said what is unique, so reading everything is the safe start.
    mode = modes[0] if spec.primary_key or SyncMode.FULL_REFRESH not in modes else SyncMode.FULL_REFRESH
    return {
        "sync_mode": mode.value,
        "cursor_field": spec.cursor_fields[0] if spec.cursor_fields else "",
        "primary_key": list(spec.primary_key),
    }


def apply(source: Source, specs: Iterable[StreamSpec]) -> Applied:
    """Bring the streams of `source` up to date with what it offers now.

    New ones come switched off, known ones keep every setting (only what was left open is filled with the suggestion),
    vanished ones stay and are marked as not offered.
    """
    applied = Applied()
    with transaction.atomic():
        known = {stream.name: stream for stream in source.streams.select_for_update()}
        for spec in specs:
            stream = known.pop(spec.name, None)
            if stream is None:
                Stream.objects.create(
                    source=source,
                    name=spec.name,
                    label=spec.label,
                    is_enabled=spec.is_learned,
                    offered=to_plain(spec),
                    **suggested(spec),
                )
                (applied.asked_for if spec.is_learned else applied.new).append(spec.name)
                continue
            (applied.known if stream.is_offered else applied.back).append(spec.name)
            _refresh(stream, spec)
        for stream in known.values():
            if stream.is_offered:
                stream.is_offered = False
                stream.save(update_fields=["is_offered"])
                applied.gone.append(stream.name)
    return applied


def _refresh(stream: Stream, spec: StreamSpec) -> None:
    if spec.is_learned and stream.columns:  # there is a table
        spec = replace(spec, columns=_kept_columns(learned_columns(stream.offered), spec.columns))
    open_settings = suggested(spec)
    stream.offered = to_plain(spec)
    stream.is_offered = True
    stream.label = spec.label or stream.label
    stream.cursor_field = stream.cursor_field or open_settings["cursor_field"]
    stream.primary_key = stream.primary_key or open_settings["primary_key"]
    if spec.is_learned:  # key and cursor are set where the stream is set up, so what is said there counts
        stream.cursor_field, stream.primary_key = open_settings["cursor_field"], open_settings["primary_key"]
        if stream.sync_mode not in [mode.value for mode in possible_modes(spec)]:
            stream.sync_mode = open_settings["sync_mode"]
    stream.save(update_fields=["offered", "is_offered", "label", "cursor_field", "primary_key", "sync_mode"])


def _kept_columns(known: tuple[Column, ...], found: tuple[Column, ...]) -> tuple[Column, ...]:
    """A column that was learned once keeps its type, whatever today's rows look like; new ones are added."""
    names = {column.name for column in known}
    return (*known, *(column for column in found if column.name not in names))
