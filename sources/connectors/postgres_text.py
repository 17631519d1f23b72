"""Values from PostgreSQL's text form, so that a changed row equals what a SELECT of it would bring (`postgres_types`).

A column at a time: the usual values in one vectorized step, the unusual ones (dates before Christ, numbers with very
many places) one by one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from sources.connectors.postgres_literals import TypeInfo, to_json
from sources.connectors.postgres_types import MOMENT, TableColumn

_MOMENT = re.compile(r"(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?(?:[+-]00)?( BC)?")
_BASE64_LINE = 76


@dataclass(frozen=True)
class TextColumn:
    """A column of the log: `column` as the catalogue would describe it, `type` to look into arrays and composites."""

    column: TableColumn
    type: TypeInfo
    types: dict[int, TypeInfo]

    def array(self, values: Sequence[bytes | None]) -> Any:
        """`values` (text form) as an Arrow array of the type a SELECT of this column has."""
        import pyarrow as pa

        column, kind = self.column, self.column.warehouse_type
        text = pa.array(values, pa.string())
        if column.type in MOMENT:
            return _moments(text, is_date=kind == "date")
        if kind == "bool":
            return _equal(text, "t")
        if kind == "bigint":
            return text.cast(pa.int64())
        if kind == "double":
            # A real has its shortest digits in text; widened, it is what the server's own cast gives.
            return text.cast(pa.float32()).cast(pa.float64()) if column.type == "float4" else text.cast(pa.float64())
        if kind == "decimal":
            return _decimals(text, column)
        each = self._one_by_one()
        return text if each is None else _mapped(text, each)

    def _one_by_one(self) -> Callable[[str], str] | None:
        column = self.column
        if column.category in {"A", "C"}:
            return lambda value: to_json(value, self.type, self.types)
        return _SPECIAL.get(column.type)


def _base64(value: str) -> str:
    # In lines of 76, as encode() does it.
    raw = base64.b64encode(bytes.fromhex(value[2:])).decode()
    return "\n".join(raw[at : at + _BASE64_LINE] for at in range(0, len(raw), _BASE64_LINE))


def _with_mask(value: str) -> str:
    return value if "/" in value else f"{value}/{128 if ':' in value else 32}"


# Where a cast to text says it differently than the value itself.
_SPECIAL: dict[str, Callable[[str], str]] = {
    "bytea": _base64,
    "inet": _with_mask,
    "bpchar": lambda value: value.rstrip(" "),
}


def _mapped(text: Any, each: Callable[[str], str]) -> Any:
    import pyarrow as pa

    return pa.array([None if value is None else each(value) for value in text.to_pylist()], pa.string())


def _equal(text: Any, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(text, value)


def _without(text: Any, pattern: str) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.match_substring_regex(text, pattern), pa.scalar(None, pa.string()), text)


def _decimals(text: Any, column: TableColumn) -> Any:
    import pyarrow as pa

    assert column.numeric is not None
    precision, scale = column.numeric
    finite = _without(text, "^(NaN|-?Infinity)$")
    kind = pa.decimal128(precision, scale)
    try:
        return finite.cast(kind)
    except pa.ArrowInvalid:
        with localcontext() as context:
            context.prec = 2 * precision + 1000
            step = Decimal(1).scaleb(-scale)
            rounded = [
                None if value is None else Decimal(value).quantize(step, ROUND_HALF_UP) for value in finite.to_pylist()
            ]
        return pa.array(rounded, kind)


def _moments(text: Any, *, is_date: bool) -> Any:
    """Infinity becomes empty; a time without a zone is taken as UTC, which the session's zone is too."""
    import pyarrow as pa

    finite = _without(text, "^-?infinity$")
    final = pa.date32() if is_date else pa.timestamp("us", "UTC")
    try:
        if is_date:
            return finite.cast(final)
        plain = _cut_zone(finite)
        return plain.cast(pa.timestamp("us")).cast(final)
    except pa.ArrowInvalid:
        numbers = [None if value is None else _count(value, is_date=is_date) for value in finite.to_pylist()]
        return pa.array(numbers, pa.int32() if is_date else pa.int64()).cast(final)


def _cut_zone(text: Any) -> Any:
    import pyarrow.compute as pc

    return pc.replace_substring_regex(text, r"\+00$", "")


def _count(value: str, *, is_date: bool) -> int:
    """Days or microseconds since 1970, for years that Python's dates do not know."""
    found = _MOMENT.fullmatch(value)
    if found is None:
        raise ValueError(f"no moment: {value!r}")
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if found[8]:
        year = 1 - year
    # Days from the civil calendar, counted in eras of 400 years that begin in March.
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    if is_date:
        return days
    seconds = days * 86_400 + int(found[4] or 0) * 3600 + int(found[5] or 0) * 60 + int(found[6] or 0)
    return seconds * 1_000_000 + int((found[7] or "0").ljust(6, "0"))
