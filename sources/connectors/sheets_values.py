"""What a person meant by what stands in a cell: numbers, dates and errors, as typed by hand in many countries.

Nothing here guesses twice: what is ambiguous alone ("1,234", "03/04/2026") is decided once for its column, by the other
cells or by the spreadsheet's language, and then stays decided.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

# What a formula shows when it failed; "Loading..." when its other spreadsheet had not answered yet.
ERRORS = frozenset(
    ("#REF!", "#N/A", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#ERROR!", "#SPILL!", "#CALC!", "Loading...")
)
EXACT_DIGITS = 15  # a longer run of digits is a code: as a number it would lose its last ones
EPOCH = datetime(1899, 12, 30)
MONTHS_FIRST = frozenset(("en_US", "en_PH", "fil_PH"))
# Languages that write 1.234,50; the countries that do not.
_COMMA = re.compile(
    "(?:be|bg|ca|cs|da|de|el|es|et|eu|fi|fr|gl|hr|hu|id|it|kk|lt|lv|nb|nl|nn|no|pl|pt|ro|ru|sk|sl|sr|sv|tr|uk|vi)(?:_.*)?"
)
_NOT_COMMA = re.compile("de_(?:CH|LI)|it_CH|es_(?:DO|GT|HN|MX|NI|PA|PE|PR|SV|US)")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"), ("feb", "february"), ("mar", "march"), ("apr", "april"), ("may",), ("jun", "june"),
            ("jul", "july"), ("aug", "august"), ("sep", "sept", "september"), ("oct", "october"), ("nov", "november"),
            ("dec", "december"),
        ),
        1,
    )
    for name in names
}  # fmt: skip


class Dated(NamedTuple):
    """A cell that the spreadsheet shows as a date, a time or a duration: days since 1899-12-30, and as it is shown."""

    serial: float
    shown: str

    @property
    def moment(self) -> datetime:
        """To the millisecond: a serial is a double. Raises `OverflowError` outside the calendar."""
        return EPOCH + timedelta(milliseconds=round(self.serial * 86_400_000))

    @property
    def is_time_only(self) -> bool:
        return 0 <= self.serial < 1


Cell = None | bool | int | float | str | Dated


_CURRENCY = (
    r"(?:(?:US|CA|AU|NZ|HK|S)?\$|[€£¥₹₩₽₺₪₫₴₦฿]|(?:USD|EUR|GBP|CHF|JPY|CNY|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|INR|BRL|"
    r"MXN|ZAR|SGD|HKD|TRY|KRW|ILS|AED)\b)"
)
_NUMBER = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+−–])?\s*{_CURRENCY}?\s*(?P<sign2>[-−–])?\s*"
    rf"(?P<digits>\d[\d.,'’ ]*|[.,]\d+)\s*(?P<percent>%)?\s*{_CURRENCY}?\s*(?P<after>[-−])?\s*(?P<close>\))?"
)


def decimal_mark(texts: list[str], locale: str) -> str:
    """Which of "." and "," parts the decimals in a column: what its cells prove, else the spreadsheet's language."""
    proofs = [proof for text in texts if (proof := _proof(text))]
    if proofs:
        return max(sorted(set(proofs)), key=proofs.count)
    return "," if _COMMA.fullmatch(locale) and not _NOT_COMMA.fullmatch(locale) else "."


def _proof(text: str) -> str:
    match = _NUMBER.fullmatch(_plain(text))
    if match is None:
        return ""
    marks = re.sub(r"[^.,]", "", match["digits"].strip())
    if len(set(marks)) == 2:
        return marks[-1]
    if len(marks) > 1:
        return "," if marks[0] == "." else "."
    return "" if not marks or _is_ambiguous(match["digits"], marks) else marks


def _is_ambiguous(digits: str, mark: str) -> bool:
    before, after = digits.strip().split(mark)
    return len(re.sub(r"\D", "", after)) == 3 and 1 <= len(before) <= 3 and before != "0"


def number(text: str, mark: str = ".") -> float | None:
    """The number a text means: "1,234.50", "€ 1.234,50", " 12 %" (0.12), "(300)" (−300). None when it means none.

    "007" is a code, not a number. `mark` decides what is ambiguous.
    """
    match = _NUMBER.fullmatch(_plain(text))
    if match is None or bool(match["open"]) != bool(match["close"]):
        return None
    plain = _digits(match["digits"].strip(), mark)
    if plain is None:
        return None
    value = Decimal(plain)
    if match["percent"]:
        value /= 100
    signs = [match["sign"], match["sign2"], match["after"]]
    negative = sum(sign is not None and sign != "+" for sign in signs) + bool(match["open"])
    return None if negative > 1 else float(-value if negative else value)


def _digits(digits: str, mark: str) -> str | None:
    """As Python writes it; None when the groups are not groups of a number ("1.2.3", "12 34")."""
    whole, part = digits, ""
    marks = re.sub(r"[^.,]", "", digits)
    last = marks[-1] if marks else ""
    if len(set(marks)) == 2 or (len(marks) == 1 and (last == mark or not _is_ambiguous(digits, last))):
        whole, _, part = digits.rpartition(last)
        if last in whole or not part.isdigit():
            return None
    if re.fullmatch(r"0\d.*", whole):
        return None
    groups = re.fullmatch(r"\d*|\d{1,3}(?:([.,'’ ])\d{2,3}(?:\1\d{2,3})*(?<=\d{3}))", whole)
    if groups is None or (not whole and not part):
        return None
    whole = re.sub(r"\D", "", whole)
    return f"{whole or '0'}.{part or '0'}" if len(whole) <= EXACT_DIGITS else None


_TIME = r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?)?"
_DATES = tuple(
    re.compile(pattern + _TIME, re.IGNORECASE)
    for pattern in (
        r"(?P<year>\d{4})-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?",
        r"(?P<year>\d{4})[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})",
        r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})",
        r"(?P<day>\d{2})\.(?P<month>\d{2})\.(?P<year>\d{2})",
        r"(?P<first>\d{1,2})[/-](?P<second_part>\d{1,2})[/-](?P<year>\d{4})",
        r"(?:(?P<day>\d{1,2})\.?[ -])?(?P<month>[a-z]{3,9})\.?[ -](?P<year>\d{4})",
        r"(?P<month>[a-z]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?, ?(?P<year>\d{4})",
    )
)


_SLASHED = next(pattern for pattern in _DATES if "second_part" in pattern.groupindex)


def date_order(texts: list[str], locale: str) -> str:
    """ "mdy" or "dmy" for 03/04/2026: what the column's cells prove, else the spreadsheet's country."""
    for text in texts:
        match = _SLASHED.fullmatch(_plain(text))
        if match and int(match["first"]) > 12:
            return "dmy"
        if match and int(match["second_part"]) > 12:
            return "mdy"
    return "mdy" if locale in MONTHS_FIRST else "dmy"


def moment(text: str, order: str = "dmy") -> date | datetime | None:
    """The day, or the day and time, a text means; "2026-03" and "Mar 2026" mean the first of the month."""
    plain = _plain(text)
    match = next((found for pattern in _DATES if (found := pattern.fullmatch(plain))), None)
    if match is None:
        return None
    said = match.groupdict()
    if "first" in said:
        said["day"], said["month"] = said["first"], said["second_part"]
        if order == "mdy":
            said["day"], said["month"] = said["month"], said["day"]
    month = _MONTHS.get(str(said["month"]).lower()) or (int(said["month"]) if str(said["month"]).isdigit() else 0)
    year = int(said["year"]) + (2000 if len(said["year"]) == 2 else 0)
    try:
        day = date(year, month, int(said.get("day") or 1))
        if said["hour"] is None:
            return day
        return datetime(day.year, day.month, day.day, int(said["hour"]), int(said["minute"]), int(said["second"] or 0))
    except ValueError:
        return None


def is_error(cell: Cell) -> bool:
    return isinstance(cell, str) and cell.strip() in ERRORS


def shown(cell: Cell) -> str:
    """A cell as text."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    return cell.shown if isinstance(cell, Dated) else "" if cell is None else str(cell)


def _plain(text: str) -> str:
    """Without the spaces nobody sees: no-break spaces become spaces."""
    return unicodedata.normalize("NFKC", text).strip()
