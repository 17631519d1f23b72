"""What a source offers: streams as a connector describes them, as plain data, and as rows of a source.

`to_plain` / `from_plain` carry them through a probe's row; `apply` brings a source's streams up to date without
touching what people chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from sources.connectors.base import Column, Connector, StreamSpec, SyncMode
from sources.models import Source, Stream


@dataclass(frozen=True)
class Applied:
    """Names, by what happened to them."""

    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        parts = []
        if self.new:
            parts.append(f"New: {', '.join(self.new)}. Nothing of it is read until you tick it.")
        if self.back:
            parts.append(f"Offered again: {', '.join(self.back)}.")
        if self.gone:
            parts.append(f"No longer offered: {', '.join(self.gone)}.")
        return " ".join(parts) or "The streams are the ones you know."


def to_plain(spec: StreamSpec) -> dict[str, Any]:
    """`spec` as JSON-ready data; columns as [name, type] pairs."""
    return {
        "name": spec.name,
        "label": spec.label,
        "description": spec.description,
        "primary_key": list(spec.primary_key),
        "cursor_fields": list(spec.cursor_fields),
        "sync_modes": [mode.value for mode in spec.sync_modes],
        "columns": [[column.name, column.type] for column in spec.columns],
        "permission": spec.permission,
        "comes_with": spec.comes_with,
        "other_keys": [list(key) for key in spec.other_keys],
        "is_followed": spec.is_followed,
    }


def from_plain(data: Mapping[str, Any]) -> StreamSpec:
    return StreamSpec(
        name=data["name"],
        label=data.get("label", ""),
        description=data.get("description", ""),
        primary_key=tuple(data.get("primary_key", ())),
        cursor_fields=tuple(data.get("cursor_fields", ())),
        sync_modes=tuple(SyncMode(mode) for mode in data.get("sync_modes", ())),
        columns=tuple(Column(name, type_) for name, type_ in data.get("columns", ())),
        permission=data.get("permission", ""),
        comes_with=data.get("comes_with", ""),
        other_keys=tuple(tuple(key) for key in data.get("other_keys", ())),
        is_followed=data.get("is_followed", False),
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
                    is_enabled=False,
                    offered=to_plain(spec),
                    **suggested(spec),
                )
                applied.new.append(spec.name)
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
    open_settings = suggested(spec)
    stream.offered = to_plain(spec)
    stream.is_offered = True
    stream.label = spec.label or stream.label
    stream.cursor_field = stream.cursor_field or open_settings["cursor_field"]
    stream.primary_key = stream.primary_key or open_settings["primary_key"]
    stream.save(update_fields=["offered", "is_offered", "label", "cursor_field", "primary_key"])
