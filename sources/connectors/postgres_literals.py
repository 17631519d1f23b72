"""Arrays and composite values from their text form to JSON, as PostgreSQL's own `to_json` writes them.

`{1,NULL,"a b"}` and `(7,"a ""b"" c",)`: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO and
https://www.postgresql.org/docs/current/rowtypes.html#ROWTYPES-IO-SYNTAX
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_NUMERIC = {"int2", "int4", "int8", "float4", "float8", "numeric"}
_BOUNDS = re.compile(r"^(\[[-+]?\d+:[-+]?\d+\])+=")


@dataclass(frozen=True)
class TypeInfo:
    """A row of pg_type. `base`: of a domain; `element`: of an array; `fields`: of a composite, (name, type)."""

    oid: int
    name: str
    category: str
    kind: str  # typtype: b base, c composite, d domain, e enum, r range …
    base: int = 0
    modifier: int = -1
    element: int = 0
    delimiter: str = ","
    fields: tuple[tuple[str, int], ...] = ()


TEXT = TypeInfo(25, "text", "S", "b")


def to_json(text: str, kind: TypeInfo, types: dict[int, TypeInfo]) -> str:
    """The JSON of one value in its text form."""
    while kind.kind == "d":
        kind = types.get(kind.base, TEXT)
    if kind.category == "A" and kind.element:
        element = types.get(kind.element, TEXT)
        items, at = _array(_BOUNDS.sub("", text), 0, types.get(kind.element, TEXT).delimiter)
        if at == 0:
            return json.dumps(text, ensure_ascii=False)
        return _listed(items, element, types)
    if kind.category == "C" and kind.fields:
        values = _fields(text)
        parts = (
            f"{_quoted(name)}:{'null' if value is None else to_json(value, types.get(oid, TEXT), types)}"
            for (name, oid), value in zip(kind.fields, values, strict=True)
        )
        return "{" + ",".join(parts) + "}"
    return _scalar(text, kind.name)


def _listed(items: list[Any], element: TypeInfo, types: dict[int, TypeInfo]) -> str:
    parts = []
    for item in items:
        if item is None:
            parts.append("null")
        elif isinstance(item, list):
            parts.append(_listed(item, element, types))
        else:
            parts.append(to_json(item, element, types))
    return "[" + ",".join(parts) + "]"


def _scalar(text: str, name: str) -> str:
    if name == "bool":
        return "true" if text == "t" else "false"
    if name in {"json", "jsonb"}:
        return text
    if name in _NUMERIC:
        return text if _NUMBER.fullmatch(text) else _quoted(text)
    if name in {"timestamp", "timestamptz"} and not text.endswith("infinity"):
        text = text.replace(" ", "T", 1)
        if name == "timestamptz":
            text = re.sub(r"\+00(?= BC$|$)", "+00:00", text)
    return _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _array(text: str, at: int, delimiter: str) -> tuple[list[Any], int]:
    """The items of the array that begins at `at` (nested lists, str or None) and where it ends; ([], 0): no array."""
    if text[at : at + 1] != "{":
        return [], 0
    items: list[Any] = []
    at += 1
    while text[at] != "}":
        if text[at] == "{":
            inner, at = _array(text, at, delimiter)
            items.append(inner)
        elif text[at] == '"':
            value, at = _in_quotes(text, at)
            items.append(value)
        else:
            begin = at
            while text[at] not in {delimiter, "}"}:
                at += 2 if text[at] == "\\" else 1
            word = text[begin:at]
            items.append(None if word.upper() == "NULL" else re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL))
        if text[at] == delimiter:
            at += 1
    return items, at + 1


def _fields(text: str) -> list[str | None]:
    """The fields of a composite: quotes inside quotes are doubled, an empty place is NULL."""
    values: list[str | None] = []
    at, end = 1, len(text) - 1
    while True:
        value: str | None = None
        while at < end and text[at] != ",":
            if text[at] == '"':
                piece, at = _in_quotes(text, at)
            elif text[at] == "\\":
                piece, at = text[at + 1], at + 2
            else:
                piece, at = text[at], at + 1
            value = (value or "") + piece
        values.append(value)
        if at >= end:
            return values
        at += 1


def _in_quotes(text: str, at: int) -> tuple[str, int]:
    pieces = []
    at += 1
    while True:
        letter = text[at]
        if letter == "\\":
            pieces.append(text[at + 1])
            at += 2
        elif letter == '"':
            if text[at + 1 : at + 2] != '"':
                return "".join(pieces), at + 1
            pieces.append('"')
            at += 2
        else:
            pieces.append(letter)
            at += 1
