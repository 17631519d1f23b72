"""Google Sheets: the sheets or ranges of one spreadsheet, read whole each time, as typed tables.

People move columns, rename them, merge cells and type numbers as text. `sheets_grid` makes a grid of what Google answers,
`sheets_columns` finds each column by its header and keeps its name and type, `sheets_values` reads what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from portal.failures import TerminalError, TransientError
from portal.redact import secrets_hidden
from sources.connectors.base import FieldKind, FormField, Page, StreamRequest, StreamSpec, SyncMode
from sources.connectors.sheets_api import DEFAULT_URL, READS, ServiceKey, SheetsApi
from sources.connectors.sheets_columns import column_name
from sources.connectors.sheets_grid import Changed, Grid, combined, fill_merged, letters, quoted, start_of

CELLS_A_REQUEST = 250_000
ROWS_LOOKED_AT = 60  # of each sheet, to say what there is
READ_TRIES = 3  # while somebody is typing
CHECK_TRIES = 2
SHOWN_COLUMNS = 12
_ADDRESS = re.compile(r"/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]+)")
_ID = re.compile(r"[A-Za-z0-9_-]{4,}")


class GoogleSheetsConnector:
    name = "google_sheets"
    label = "Google Sheets"
    summary = "Sheets and ranges of a spreadsheet, such as the finance team's plan."
    fields = (
        FormField(
            "service_account_key",
            "Service account key",
            "The whole JSON file that Google gave you. It is stored encrypted and never shown again.",
            FieldKind.SECRET_TEXT,
            placeholder='{"type": "service_account", …}',
        ),
        FormField(
            "spreadsheet",
            "Spreadsheet",
            "Its address, copied from the browser.",
            placeholder="https://docs.google.com/spreadsheets/d/…",
        ),
        FormField(
            "sheets",
            "Sheets or ranges",
            "One a line: the name of a sheet, a range such as Plan!A3:H, or a named range. Empty: every sheet.",
            FieldKind.LIST,
            required=False,
            placeholder="Plan",
        ),
        FormField(
            "header_row",
            "Row with the column names",
            "The row's number. Empty: the first row with something in it; a title above the table is passed over. A range "
            "begins with its own row of names.",
            FieldKind.INTEGER,
            required=False,
        ),
        FormField(
            "base_url",
            "API base URL",
            "Leave this as it is.",
            FieldKind.URL,
            required=False,
            default=DEFAULT_URL,
            is_advanced=True,
        ),
    )
    permissions = ("View the spreadsheet: share it with the service account's e-mail address as a viewer",)
    setup_help = (
        "In Google Cloud, open IAM › Service accounts, make one without any role, and add a key of the type JSON under "
        "Keys. Under APIs & Services switch on the Google Sheets API. Then open the spreadsheet, press Share, and let the "
        "service account's e-mail address view it (it ends in iam.gserviceaccount.com)."
    )
    rate_limits = (READS,)
    streams: tuple[StreamSpec, ...] = ()  # the spreadsheet's own sheets

    def check(self, settings: Mapping[str, Any]) -> str:
        with _opened(settings, tries=CHECK_TRIES) as (api, key):
            book = _Book(api.about(), settings)
            api.values([part.looked_at for part in book.parts], dates_as_text=True)
        titles = ", ".join(f"“{part.label}”" for part in book.parts[:8])
        more = f" and {len(book.parts) - 8} more" if len(book.parts) > 8 else ""
        return f"Connected to “{book.title}” as {key.email}. To be read: {titles}{more}."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        with _opened(settings) as (api, _):
            book = _Book(api.about(), settings)
            answers = api.values([part.looked_at for part in book.parts], dates_as_text=True)
        return [book.spec(part, answer) for part, answer in zip(book.parts, answers, strict=True)]

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        from sources.connectors.sheets_table import laid_out, pages, refuse_doubles

        with _opened(settings) as (api, _):
            book = _Book(api.about(), settings)
            part = book.part(stream.name)
            grid = book.grid(api, part)
        columns, rows = laid_out(grid, part.header_row, stream.remembered, book.locale)
        refuse_doubles(columns, rows, stream.primary_key)
        for table in pages(columns, rows, book.zone):
            yield Page(table)
        yield Page([], cursor=columns.kept())


@contextmanager
def _opened(settings: Mapping[str, Any], **options: Any) -> Iterator[tuple[SheetsApi, ServiceKey]]:
    """The API of the source's spreadsheet and the key it is opened with; meanwhile no message shows any of the key."""
    text = str(settings.get("service_account_key") or "")
    with secrets_hidden([text]):
        key = ServiceKey.parse(text)
        base_url = str(settings.get("base_url") or DEFAULT_URL)
        with SheetsApi(key, spreadsheet_id(settings.get("spreadsheet")), base_url, **options) as api:
            yield api, key


def spreadsheet_id(value: Any) -> str:
    """The id in a spreadsheet's address, or the id itself."""
    text = str(value or "").strip()
    if match := _ADDRESS.search(text):
        return match[1]
    if _ID.fullmatch(text):
        return text
    if not text:
        raise TerminalError("Say which spreadsheet is to be read: paste its address in the settings.", kind="settings")
    raise TerminalError(
        "“Spreadsheet” holds no address of a Google spreadsheet. Copy it from the browser: "
        "https://docs.google.com/spreadsheets/d/…",
        kind="settings",
    )


@dataclass(frozen=True)
class _Part:
    """One thing to read: a whole sheet (`title`, with its size) or a range (`range`)."""

    name: str
    label: str
    range: str
    looked_at: str
    title: str = ""
    rows: int = 0
    width: int = 0
    header_row: int | None = None
    remark: str = ""


class _Book:
    """A spreadsheet as Google describes it, and what of it is to be read."""

    def __init__(self, about: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        properties = about.get("properties", {})
        self.title = properties.get("title", "")
        self.locale = properties.get("locale", "")
        self.zone = _zone(properties.get("timeZone", ""))
        self.header_row = settings.get("header_row") or None
        self.sheets = {
            sheet["properties"]["title"]: sheet
            for sheet in about.get("sheets", [])
            if sheet["properties"].get("sheetType", "GRID") == "GRID"
        }
        lines = [str(line).strip() for line in settings.get("sheets") or () if str(line).strip()]
        self.parts = self._parts(list(dict.fromkeys(lines)))

    def _parts(self, lines: Sequence[str]) -> list[_Part]:
        folded = {title.casefold(): title for title in self.sheets}
        wanted = lines or list(self.sheets)
        if not wanted:
            raise TerminalError(f"The spreadsheet “{self.title}” has no sheet with cells.", kind="not_found")
        names = _names(wanted, [self.sheets.get(folded.get(line.casefold(), ""), {}) for line in wanted])
        return [
            self._sheet(name, folded[line.casefold()])
            if line.casefold() in folded
            else _Part(name, line, self._range(line), self._range(line))
            for line, name in zip(wanted, names, strict=True)
        ]

    def _sheet(self, name: str, title: str) -> _Part:
        properties = self.sheets[title]["properties"]
        size = properties.get("gridProperties", {})
        rows, width = size.get("rowCount", 1000), size.get("columnCount", 26)
        looked_at = f"{quoted(title)}!A1:{letters(width - 1)}{min(rows, max(ROWS_LOOKED_AT, self.header_row or 0))}"
        remark = "Hidden in the spreadsheet." if properties.get("hidden") else ""
        return _Part(name, title, quoted(title), looked_at, title, rows, width, self.header_row, remark)

    def _range(self, line: str) -> str:
        """Titles with spaces are quoted for people who did not."""
        title, mark, cells = line.rpartition("!")
        if not mark or title.startswith("'"):
            return line
        if title not in self.sheets:
            raise self._no_such(title)
        return f"{quoted(title)}!{cells}"

    def part(self, name: str) -> _Part:
        for part in self.parts:
            if part.name == name:
                return part
        raise self._no_such(name)

    def _no_such(self, name: str) -> TerminalError:
        return TerminalError(
            f"The spreadsheet “{self.title}” has no sheet “{name}” any more. It has: {', '.join(self.sheets)}. If the sheet "
            "was renamed, test the connection again and tick its new name.",
            kind="not_found",
        )

    def spec(self, part: _Part, answer: Mapping[str, Any]) -> StreamSpec:
        from sources.connectors.sheets_table import laid_out

        grid = _grid_of(answer)
        fill_merged(grid, self._merges(answer["range"]))
        columns, _ = laid_out(grid, part.header_row, None, self.locale)
        names = [pin.name for pin in columns.pins]
        shown = ", ".join(names[:SHOWN_COLUMNS]) + (" …" if len(names) > SHOWN_COLUMNS else "")
        said = [part.remark, f"{len(names)} columns: {shown}." if names else "Empty so far.", *columns.notes[:3]]
        return StreamSpec(
            name=part.name,
            label=part.label,
            description=" ".join(filter(None, said)),
            primary_key=("_row",),
            sync_modes=(SyncMode.FULL_REFRESH,),
            permission="View the spreadsheet",
            other_keys=tuple((name,) for name in names),
        )

    def grid(self, api: SheetsApi, part: _Part) -> Grid:
        """All cells of a part. Two answers, because only the difference between them tells a date from a number."""
        for _ in range(READ_TRIES):
            try:
                return self._read(api, part)
            except Changed:
                continue
        raise TransientError(
            f"Somebody is typing in “{part.label}” right now, so that it could not be read in one piece.",
            kind="changing",
        )

    def _read(self, api: SheetsApi, part: _Part) -> Grid:
        whole = Grid()
        at = ""
        for number, block in enumerate(_blocks(part)):
            plain = api.values([block])[0]
            spelled = api.values([block], dates_as_text=True)[0]
            rows = combined(plain.get("values", []), spelled.get("values", []))
            _, first_row, first_column = start_of(plain["range"])
            if number == 0:
                whole, at = Grid([], first_row, first_column), plain["range"]
            if rows:
                missing = first_row - whole.first_row - len(whole.rows)
                whole.rows += [[] for _ in range(missing)]
                whole.rows += rows
        fill_merged(whole, self._merges(at))
        return whole

    def _merges(self, a1: str) -> Sequence[Mapping[str, int]]:
        return self.sheets.get(start_of(a1)[0], {}).get("merges", [])


def _grid_of(answer: Mapping[str, Any]) -> Grid:
    _, first_row, first_column = start_of(answer["range"])
    values = answer.get("values", [])
    return Grid(combined(values, values), first_row, first_column)


def _blocks(part: _Part) -> Iterator[str]:
    """The ranges to ask for, one after the other; a sheet that fits into one answer is asked for as a whole."""
    step = max(1, CELLS_A_REQUEST // max(part.width, 1))
    if not part.title or part.rows <= step:
        yield part.range
        return
    for first in range(1, part.rows + 1, step):
        yield f"{part.range}!A{first}:{letters(part.width - 1)}{min(first + step - 1, part.rows)}"


def _names(wanted: Sequence[str], sheets: Sequence[Mapping[str, Any]]) -> list[str]:
    """A stream's name for each line. Of two that would share one, the later made sheet has its id in its name."""
    ids = [sheet.get("properties", {}).get("sheetId", 0) for sheet in sheets]
    plain = [column_name(line) for line in wanted]
    names = []
    for name, number in zip(plain, ids, strict=True):
        same = [other for each, other in zip(plain, ids, strict=True) if each == name]
        names.append(name if number == min(same) else f"{name}_{number}")
    return names


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
