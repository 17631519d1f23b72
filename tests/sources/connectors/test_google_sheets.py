"""The connector against the sandbox's spreadsheet, and against what Google really answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from portal.failures import PortalError, TerminalError, TransientError
from sandbox.finance import Cell, Sheet
from sandbox.server import Sandbox
from sources.connectors import get_connector, sheets_api
from sources.connectors.base import StreamRequest, SyncMode
from sources.connectors.google_sheets import spreadsheet_id
from sources.connectors.sheets_api import ServiceKey, SheetsApi

CONNECTOR: Any = get_connector("google_sheets")


@pytest.fixture(autouse=True)
def _own_quota(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has a minute's reads of its own."""
    monkeypatch.setattr(sheets_api, "_paces", {})
    yield
    sandbox.google_sheets.is_shared = True


@pytest.fixture
def access(sandbox: Sandbox) -> dict[str, Any]:
    return sandbox.endpoints()["google_sheets"]


@pytest.fixture
def show(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put other sheets into the company's spreadsheet: show(Plan=[["a", "b"], [1, 2]])."""

    def put(*sheets: Sheet, **grids: list[list[Any]]) -> None:
        made = [
            Sheet(n, title.replace("_", " "), [[_cell(value) for value in row] for row in rows])
            for n, (title, rows) in enumerate(grids.items())
        ]
        monkeypatch.setattr(sandbox.company.finance, "sheets", lambda: [*sheets, *made])

    return put


def _cell(value: Any) -> Cell | None:
    return value if value is None or isinstance(value, Cell) else Cell(value, str(value))


def read(access: dict[str, Any], name: str, remembered: Any = None, **options: Any) -> tuple[list[Any], Any]:
    """The rows of a stream and what is to be remembered."""
    rows: list[Any] = []
    cursor = None
    request = StreamRequest(name, SyncMode.FULL_REFRESH, remembered=remembered, **options)
    for page in CONNECTOR.read(access, request, None):
        rows += page.rows if isinstance(page.rows, list) else page.rows.to_pylist()
        cursor = page.cursor or cursor
    return rows, cursor


# The company's spreadsheet --------------------------------------------------------------------------------------------


def test_the_finance_sheet_is_read_as_its_makers_mean_it(sandbox, access):
    rows, kept = read(access, "plan")
    months = sorted(sandbox.company.finance.months.values(), key=lambda month: month.start)
    assert [row["plan_mrr"] for row in rows] == [month.plan_mrr for month in months]
    assert [row["costs"] for row in rows] == [month.costs for month in months]
    assert [-row["plan_churn"] for row in rows] == [month.plan_churn for month in months]
    assert [row["actual_mrr"] for row in rows] == [month.actual_mrr for month in months]
    assert all(row["quarter"] == f"Q{(row['month'].month + 2) // 3} {row['month'].year}" for row in rows)
    assert [row["_row"] for row in rows] == list(range(4, 4 + len(months)))
    assert {row["_extra"] for row in rows} == {None}
    assert kept["notes"] == ["Column H has values but no header: it is column_h. Give it one."]


def test_the_sheets_are_the_streams(access):
    specs = CONNECTOR.discover(access)
    assert [(spec.name, spec.label) for spec in specs] == [
        ("plan", "Plan"),
        ("people", "People"),
        ("budget_rates", "Budget rates"),
    ]
    assert specs[0].primary_key == ("_row",)
    assert ("month",) in specs[0].other_keys
    assert specs[0].sync_modes == (SyncMode.FULL_REFRESH,)
    assert "11 columns: quarter, month, plan_mrr" in specs[0].description


def test_the_check_says_what_is_to_be_read_and_as_whom(access):
    assert CONNECTOR.check(access) == (
        "Connected to “Tidewater: plan and actuals” as portal@tidewater-finance.iam.gserviceaccount.com. To be read: "
        "“Plan”, “People”, “Budget rates”."
    )


def test_named_sheets_and_ranges_can_be_picked(access):
    some = {**access, "sheets": ["people", "Plan!B3:D10", "Budget rates!A1:B"]}
    assert [spec.name for spec in CONNECTOR.discover(some)] == ["people", "plan_b3_d10", "budget_rates_a1_b"]
    rows, _ = read(some, "plan_b3_d10")
    assert list(rows[0]) == ["_row", "month", "plan_mrr", "plan_new_mrr", "_extra"]
    assert [row["_row"] for row in rows] == [4, 5, 6, 7, 8, 9, 10]
    assert [row["currency"] for row in read(some, "budget_rates_a1_b")[0]] == ["USD", "EUR", "GBP"]


def test_the_header_row_can_be_named(access, show):
    show(Plan=[["draft", "of Monday"], ["old", "names"], ["a", "b"], [1, 2]])
    assert read({**access, "header_row": 3}, "plan")[0] == [{"_row": 4, "a": 1.0, "b": 2.0, "_extra": None}]


def test_two_sheets_whose_names_become_one_are_told_apart(access, show):
    show(
        Sheet(7, "Plan A", [[Cell("a", "a"), Cell("b", "b")], [Cell(1, "1"), Cell(1, "1")]]),
        Sheet(3, "Plan-A", [[Cell("a", "a"), Cell("b", "b")], [Cell(2, "2"), Cell(2, "2")]]),
    )
    assert [spec.name for spec in CONNECTOR.discover(access)] == ["plan_a_7", "plan_a"]
    assert read(access, "plan_a_7")[0][0]["a"] == 1.0


def test_a_large_sheet_is_read_in_blocks(access, show, monkeypatch):
    monkeypatch.setattr("sources.connectors.google_sheets.CELLS_A_REQUEST", 26 * 100)
    rows = [["a", "b"], *([n, n * 2] for n in range(1, 150)), *[[]] * 120, [999, 1]]
    show(Plan=rows)
    read_rows, _ = read(access, "plan")
    assert [row["_row"] for row in read_rows] == [*range(2, 151), 271]
    assert [row["b"] for row in read_rows] == [*(n * 2.0 for n in range(1, 150)), 1.0]


def test_a_sheet_that_is_being_typed_in_is_read_again_and_then_later(sandbox, access, monkeypatch, show):
    texts = iter(["a", "b", "c", "c"])
    frame = [[Cell("name", "name"), Cell("x", "x")]]

    def typing() -> list[Sheet]:
        text = next(texts, "c")
        return [Sheet(0, "Plan", [*frame, [Cell(text, text), Cell(1, "1")]])]

    monkeypatch.setattr(sandbox.company.finance, "sheets", typing)
    assert [row["name"] for row in read(access, "plan")[0]] == ["c"]
    texts = iter("abcdefghijkl")
    with pytest.raises(TransientError, match="Somebody is typing in “Plan” right now"):
        read(access, "plan")


def test_a_sheet_that_was_renamed_says_what_there_is(access):
    with pytest.raises(TerminalError, match=r"has no sheet “budget” any more\. It has: Plan, People, Budget rates\."):
        read(access, "budget")


# What goes wrong ------------------------------------------------------------------------------------------------------


def test_a_spreadsheet_that_is_not_shared_names_the_address_to_share_it_with(sandbox, access):
    sandbox.google_sheets.is_shared = False
    with pytest.raises(TerminalError, match="not shared with portal@tidewater-finance") as caught:
        CONNECTOR.check(access)
    assert caught.value.kind == "forbidden"


def test_an_unknown_range_is_named(access):
    with pytest.raises(TerminalError, match="no sheet and no range called “Budget2027”"):
        CONNECTOR.check({**access, "sheets": ["Budget2027"]})
    with pytest.raises(TerminalError, match="has no sheet “Nope” any more"):
        CONNECTOR.check({**access, "sheets": ["Nope!A1:B2"]})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no service account key yet"),
        ("AIzaSy-not-json", "is not JSON"),
        ('"just text"', "is not the key of a service account"),
        ('{"installed": {"client_id": "x"}}', "It is an OAuth client"),
        ('{"type": "authorized_user"}', "a person's log-in"),
        ('{"type": "service_account", "private_key": "x"}', "has no client_email"),
        ('{"type": "service_account", "private_key": "nonsense-in-here", "client_email": "a@b.c"}', "cannot be read"),
        (
            '{"type": "service_account", "private_key": "x", "client_email": "a@b.c", "token_uri": "https://evil.example"}',
            "wants its token from evil.example",
        ),
    ],
)
def test_what_is_no_service_account_key_is_said_without_showing_it(access, text, sentence):
    with pytest.raises(TerminalError, match=sentence) as caught:
        CONNECTOR.check({**access, "service_account_key": text})
    assert caught.value.kind == "settings"
    assert "nonsense-in-here" not in f"{caught.value.sentence} {caught.value.detail}"


def test_a_key_that_was_replaced_is_no_longer_accepted(access, tmp_path):
    from sandbox.clock import draw_rsa_key

    other = {**json.loads(access["service_account_key"]), "private_key": draw_rsa_key()}
    with pytest.raises(TerminalError, match="Google did not accept the service account's key") as caught:
        CONNECTOR.check({**access, "service_account_key": json.dumps(other)})
    assert caught.value.kind == "unauthorized"


def test_a_token_that_ran_out_is_renewed_in_the_middle(sandbox, access):
    sandbox.google_sheets.faults.add("expired_token", after=1, path="/v4/")
    assert len(read(access, "plan")[0]) > 30
    assert sandbox.google_sheets.count("/token") == 2


def test_a_token_that_is_refused_again_and_again_is_told(sandbox, access):
    sandbox.google_sheets.faults.add("expired_token", count=None, path="/v4/")
    with pytest.raises(TerminalError, match="did not accept the access token"):
        read(access, "plan")


@pytest.mark.parametrize("kind", ["reset", "truncate", "500", "503", "slow"])
def test_what_passes_by_itself_is_tried_again(sandbox, access, pauses, kind):
    sandbox.google_sheets.faults.add(kind, count=2, seconds=0.01, path="/v4/")
    assert len(read(access, "plan")[0]) > 30


def test_the_quota_is_waited_for(sandbox, access, pauses):
    sandbox.google_sheets.faults.add("429", count=2, path="/v4/")
    assert len(read(access, "plan")[0]) > 30
    assert len(pauses) == 2
    assert min(pauses) >= sheets_api.QUOTA_WAIT


def test_a_quota_that_stays_used_up_lets_go_of_the_worker(sandbox, access, pauses):
    sandbox.google_sheets.faults.add("429", count=None, path="/v4/")
    with pytest.raises(TransientError, match="asks us to wait") as caught:
        read(access, "plan")
    assert caught.value.kind == "rate_limited"


def test_reading_keeps_below_the_quota_by_itself(sandbox, access, pauses, monkeypatch):
    for _ in range(20):  # three requests each
        read(access, "budget_rates")
    assert pauses == []
    monkeypatch.setattr(sandbox.google_sheets, "limit", 1_000)  # the waiting is not real here
    read(access, "budget_rates")
    assert 0 < pauses[0] <= 60
    assert not any(seen.status == 429 for seen in sandbox.google_sheets.requests)


def test_no_message_shows_the_key(sandbox, access):
    private = json.loads(access["service_account_key"])["private_key"]
    for kind in ("reset", "expired_token", "forbidden"):
        sandbox.google_sheets.faults.clear()
        sandbox.google_sheets.faults.add(kind, count=None)
        with pytest.raises(PortalError) as caught:
            CONNECTOR.check(access)
        said = f"{caught.value.sentence} {caught.value.detail} {caught.value!r}"
        assert not any(line in said for line in private.split("\n") if len(line) > 8), kind
        assert "ya29" not in said
    assert "PRIVATE" not in repr(ServiceKey.parse(access["service_account_key"]))


@pytest.mark.parametrize(
    "value",
    [
        "https://docs.google.com/spreadsheets/d/1AbC_d-e/edit#gid=0",
        "https://docs.google.com/spreadsheets/u/1/d/1AbC_d-e/edit?usp=sharing",
        " 1AbC_d-e ",
    ],
)
def test_the_address_or_the_id_says_which_spreadsheet(value):
    assert spreadsheet_id(value) == "1AbC_d-e"


@pytest.mark.parametrize("value", ["", None, "https://docs.google.com/document/x y", "my plan"])
def test_what_is_no_spreadsheet_is_said(value):
    with pytest.raises(TerminalError, match=r"Spreadsheet|which spreadsheet"):
        spreadsheet_id(value)


# Recorded answers -----------------------------------------------------------------------------------------------------

IGNORED = ("includeGridData", "valueRenderOption", "dateTimeRenderOption")


@pytest.fixture
def replay(recording, access) -> Any:
    """The settings of a source that meets the recorded answers; the token comes from the sandbox."""

    def start(file: str, what: str, ignore: tuple[str, ...] = IGNORED) -> dict[str, Any]:
        tape = recording(f"google-sheets/recorded/{file}.json", what)
        found = next(
            each["response"]["body"]["spreadsheetId"]
            for each in tape.interactions
            if "spreadsheetId" in (each["response"]["body"] or {})
        )
        return {**access, "spreadsheet": found, "base_url": tape.play(ignore=ignore)}

    return start


def test_recorded_a_table_with_a_header_row(replay):
    access = replay("get_all_records", "a table with a gap and an empty header becomes typed rows")
    rows, kept = read(access, "sheet1")
    assert rows == [
        {"_row": 2, "a1": "1", "b1": "b2", "column_c": 1.45, "d1": None, "_extra": None},
        {"_row": 4, "a1": "A4", "b1": "0.4", "column_c": None, "d1": 4.0, "_extra": None},
    ]
    assert "Column C has values but no header" in kept["notes"][0]


def test_recorded_duplicate_headers(replay):
    access = replay("get_all_records_duplicate_keys", "two columns of one name keep apart")
    rows, kept = read(access, "sheet1")
    assert [(row["faff"], row["faff_2"]) for row in rows] == [("b2", None), ("0.4", 4.0)]
    assert "2 columns are called “faff”" in kept["notes"][0]


def test_recorded_blank_final_headers(replay):
    access = replay("get_all_records_with_blank_final_headers", "values below empty headers are kept")
    rows, _ = read(access, "sheet1")
    assert [(row["a1"], row["faff"], row["column_c"], row["column_d"]) for row in rows] == [
        ("1", "b2", 1.45, None),
        ("A4", "0.4", None, 4.0),
    ]


def test_recorded_ragged_rows(replay):
    access = replay("get_all_values", "rows of different lengths become whole rows")
    rows, _ = read(access, "sheet1")
    assert rows == [
        {"_row": 2, "a1": None, "b1": "b2", "d1": None, "_extra": None},
        {"_row": 4, "a1": "A4", "b1": "B4", "d1": "D4", "_extra": None},
    ]


def test_recorded_unformatted_values(replay):
    ignore = ("includeGridData", "dateTimeRenderOption")
    access = replay("get_all_records_value_render_options", "numbers come as numbers, not as they are shown", ignore)
    rows, _ = read(access, "sheet1")
    assert rows == [
        {"_row": 2, "column_2": 1.5, "column_43831": 0.12, "string": 36162.0, "_extra": None},
    ]


def test_recorded_unknown_spreadsheet(replay):
    access = replay("access_non_existing_spreadsheet", "a 404 says with whom the spreadsheet should be shared")
    with pytest.raises(TerminalError, match="Google knows no spreadsheet “test”") as caught:
        CONNECTOR.check({**access, "spreadsheet": "test"})
    assert "shared with portal@tidewater-finance" in caught.value.sentence


def test_recorded_sheets_of_a_spreadsheet(replay):
    access = replay("worksheets", "the sheets and their sizes are found")
    with _api(access) as api:
        answers = [api.about() for _ in range(3)]
    sizes = [sheet["properties"]["gridProperties"] for sheet in answers[-1]["sheets"]]
    assert [sheet["properties"]["title"] for sheet in answers[-1]["sheets"]] == ["Sheet1", "finances"]
    assert sizes[1] == {"rowCount": 100, "columnCount": 100}


@pytest.mark.parametrize(
    ("file", "ranges", "values"),
    [
        ("values_get", ["🌵 test_values_get 1"], [[["🍇", "🍉", "🍋"], ["🍐", "🍎", "🍓"]]]),
        (
            "values_batch_get",
            [f"🌵 test_values_batch_get 1!{column}:{column}" for column in "ABC"],
            [[["🍇"], ["🍐"]], [["🍉"], ["🍎"]], [["🍋"], ["🍓"]]],
        ),
        ("batch_get", ["'Sheet1'!A1:B1", "'Sheet1'!B4:D4"], [[["A1", "B1"]], [["B4", "", "D4"]]]),
    ],
)
def test_recorded_ranges_come_as_they_were_asked_for(replay, file, ranges, values):
    access = replay(file, f"{len(ranges)} range{'s' if len(ranges) > 1 else ''} in one request")
    with _api(access) as api:
        assert [answer["values"] for answer in api.values(ranges)] == values


def _api(access: dict[str, Any]) -> SheetsApi:
    return SheetsApi(ServiceKey.parse(access["service_account_key"]), access["spreadsheet"], access["base_url"])
