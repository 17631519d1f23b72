"""PostgreSQL's types: how each is selected so that it arrives in the warehouse as what it is.

| PostgreSQL                    | warehouse | how                                                                       |
|-------------------------------|-----------|---------------------------------------------------------------------------|
| smallint, integer, bigint, oid| bigint    |                                                                           |
| real, double precision        | double    |                                                                           |
| numeric(p, s), p up to 38     | decimal   | exact, by way of text                                                     |
| numeric without limits        | decimal   | decimal(38, 9), rounded to nine places                                    |
| boolean                       | bool      |                                                                           |
| date                          | date      | infinity becomes empty                                                    |
| timestamptz                   | timestamp | UTC; infinity becomes empty                                               |
| timestamp                     | timestamp | has no zone: taken as UTC; infinity becomes empty                         |
| json, jsonb, arrays, composite| json      | JSON text                                                                 |
| bytea                         | text      | base64                                                                    |
| everything else               | text      | uuid, enums, inet, interval, money, ranges … as PostgreSQL writes them    |

NaN in numeric becomes empty: no warehouse decimal can hold it.
"""

from __future__ import annotations

from dataclasses import dataclass

WHOLE = {"int2", "int4", "int8", "oid"}
FLOAT = {"float4", "float8"}
MOMENT = {"timestamp", "timestamptz", "date"}
LARGEST_PRECISION = 38
UNLIMITED = (38, 9)
CURSOR_TYPES = {"int2", "int4", "int8", *MOMENT}


@dataclass(frozen=True)
class TableColumn:
    """A column as the catalogue describes it. `type`: the base type's name, for a domain that of what it rests on."""

    name: str
    type: str
    category: str  # pg_type.typcategory: A array, C composite, E enum …
    modifier: int
    is_required: bool
    key_position: int | None

    @property
    def can_be_cursor(self) -> bool:
        return self.type in CURSOR_TYPES

    @property
    def numeric(self) -> tuple[int, int] | None:
        """(precision, scale) for the warehouse; None when no decimal holds it."""
        if self.modifier < 4:
            return UNLIMITED
        packed = self.modifier - 4
        precision, scale = (packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024
        if scale < 0:
            precision, scale = precision - scale, 0
        precision = max(precision, scale)
        return (precision, scale) if precision <= LARGEST_PRECISION else None

    @property
    def warehouse_type(self) -> str:
        if self.category in {"A", "C"} or self.type in {"json", "jsonb"}:
            return "json"
        if self.type in WHOLE:
            return "bigint"
        if self.type in FLOAT:
            return "double"
        if self.type == "numeric":
            return "decimal" if self.numeric else "text"
        return {"bool": "bool", "date": "date", "timestamptz": "timestamp", "timestamp": "timestamp"}.get(
            self.type, "text"
        )

    def select(self) -> str:
        """This column in a SELECT over the table under the alias `t`."""
        name = f"t.{quoted(self.name)}"
        return f"{self._expression(name)} AS {quoted(self.name)}"

    def _expression(self, name: str) -> str:
        kind = self.warehouse_type
        if self.type in MOMENT:
            moment = f"{name} AT TIME ZONE 'UTC'" if self.type == "timestamp" else name
            return f"CASE WHEN isfinite({name}) THEN {moment} END"
        if kind == "decimal":
            assert self.numeric is not None
            _, scale = self.numeric
            # Infinity came with PostgreSQL 14; compared as text so that older servers understand the question.
            text = f"round({name}, {scale})::text" if self.modifier < 4 else f"{name}::text"
            return f"CASE WHEN {name}::text NOT IN ('NaN', 'Infinity', '-Infinity') THEN {text} END"
        if kind == "json":
            return f"{name}::text" if self.type in {"json", "jsonb"} else f"to_json({name})::text"
        if self.type == "bytea":
            return f"encode({name}, 'base64')"
        return {"bigint": f"{name}::int8", "double": f"{name}::float8", "bool": name}.get(kind, f"{name}::text")


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as a string constant, whatever `standard_conforming_strings` says."""
    escaped = text.replace("'", "''")
    return f" E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in escaped else f"'{escaped}'"
