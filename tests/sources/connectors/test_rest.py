"""Any REST API against real HTTP: ways in, ways of paging, what is learned, what goes wrong."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from portal.failures import PortalError, TerminalError
from portal.redact import redact
from sources.connectors import get_connector
from sources.connectors.addresses import ALLOWED_HOSTS
from sources.connectors.base import Column, StreamRequest, StreamSpec, SyncMode

DEALS = [
    {"id": number, "name": f"Deal {number}", "updated_at": f"2026-03-{number:02d}T10:00:00Z"} for number in range(1, 8)
]
TOKEN = "token_0123456789"


def settings_for(server: HTTPServer, *endpoints: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {
        "base_url": server.url_for("/v1"),
        "auth": "none",
        ALLOWED_HOSTS: [server.host],
        "endpoints": list(endpoints) or [endpoint()],
        **settings,
    }


def endpoint(**changes: Any) -> dict[str, Any]:
    return {"name": "deals", "path": "/deals", "records": "data", "primary_key": ["id"], **changes}


def look(settings: dict[str, Any]) -> StreamSpec:
    (spec,) = get_connector("rest").discover(settings)
    return spec


def read(settings: dict[str, Any], since: Any = None, *, columns: Any = None, mode: Any = None) -> tuple[list, Any]:
    """The rows as dicts, and the last cursor."""
    name = settings["endpoints"][0]["name"]
    columns = columns or look(settings).columns
    request = StreamRequest(name, mode or SyncMode.INCREMENTAL, primary_key=("id",), columns=columns)
    rows: list[Any] = []
    cursor = None
    for page in get_connector("rest").read(settings, request, since):
        rows += page.rows.to_pylist() if page.rows else []
        cursor = page.cursor or cursor
    return rows, cursor


def ids(settings: dict[str, Any]) -> list[int]:
    return [row["id"] for row in read(settings)[0]]


# --- ways in ----------------------------------------------------------------------------------------------------------
BASIC = base64.b64encode(b"dana:pass word").decode()


@pytest.mark.parametrize(
    ("way", "seen"),
    [
        ({"auth": "none"}, lambda request: "Authorization" not in request.headers),
        ({"auth": "bearer", "token": TOKEN}, lambda r: r.headers["Authorization"] == f"Bearer {TOKEN}"),
        ({"auth": "header", "key_name": "X-Key", "api_key": TOKEN}, lambda r: r.headers["X-Key"] == TOKEN),
        ({"auth": "query", "key_name": "apikey", "api_key": TOKEN}, lambda r: r.args.getlist("apikey") == [TOKEN]),
        (
            {"auth": "basic", "username": "dana", "password": "pass word"},
            lambda r: r.headers["Authorization"] == f"Basic {BASIC}",
        ),
        ({"auth": "none", "headers": ["Accept-Version: 7"]}, lambda r: r.headers["Accept-Version"] == "7"),
    ],
)
def test_each_way_in(httpserver, way, seen):
    def answer(request: Request) -> Response:
        right = seen(request) and request.args["status"] == "all"
        return Response('{"data": [{"id": 1}]}' if right else "{}", status=200 if right else 401)

    httpserver.expect_request("/v1/deals").respond_with_handler(answer)
    given = settings_for(httpserver, endpoint(params=["status = all"]), **way)
    assert get_connector("rest").check(given) == "Connected to localhost."
    assert ids(given) == [1]


@pytest.mark.parametrize("way", ["bearer", "header", "query", "basic", "oauth2"])
def test_a_missing_secret_is_named_before_anything_is_sent(httpserver, way):
    with pytest.raises(TerminalError) as failure:
        get_connector("rest").check(settings_for(httpserver, auth=way))
    assert "is missing. Enter it in the source's settings." in failure.value.sentence
    assert httpserver.log == []


def test_a_refused_log_in_is_a_sentence_without_the_secret(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_response(Response(f'{{"bad": "{TOKEN}"}}', status=401))
    with pytest.raises(TerminalError) as failure:
        get_connector("rest").check(settings_for(httpserver, auth="query", api_key=TOKEN))
    assert failure.value.sentence.startswith("localhost did not accept the log-in (401).")
    assert TOKEN not in failure.value.detail


class Tokens:
    """A token address: hands out tok_1, tok_2 …; only the newest is good."""

    def __init__(self, server: HTTPServer, *, expires_in: Any = 3600) -> None:
        self.given = 0
        self.forms: list[Any] = []
        self.expires_in = expires_in
        server.expect_request("/token", method="POST").respond_with_handler(self.give)
        server.expect_request("/v1/deals").respond_with_handler(self.deals)
        self.url = server.url_for("/token")

    def give(self, request: Request) -> Response:
        self.forms.append((request.form.to_dict(), request.authorization))
        self.given += 1
        body = f'{{"access_token": "tok_secret_{self.given}", "expires_in": {self.expires_in}}}'
        return Response(body, content_type="application/json")

    def deals(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer tok_secret_{self.given}":
            return Response("{}", status=401)
        number = int(request.args.get("page", 1))
        return Response(f'{{"data": [{{"id": {number}}}]}}' if number < 4 else '{"data": []}')


def oauth(server: HTTPServer, tokens: Tokens, **settings: Any) -> dict[str, Any]:
    return settings_for(
        server,
        endpoint(paging="page", paging_param="page"),
        auth="oauth2",
        token_url=tokens.url,
        client_id="portal:1",
        client_secret="secret/&?0123456789",
        **settings,
    )


def test_an_oauth_token_is_fetched_once_and_used_for_all_pages(httpserver):
    tokens = Tokens(httpserver)
    settings = oauth(httpserver, tokens, scope="read")
    spec = look(settings)
    assert tokens.given == 1
    assert [row["id"] for row in read(settings, columns=spec.columns)[0]] == [1, 2, 3]
    assert tokens.given == 2
    form, login = tokens.forms[0]
    assert form == {"grant_type": "client_credentials", "scope": "read"}
    assert login.username == "portal%3A1"  # RFC 6749: both are form-encoded first


def test_the_client_secret_may_go_in_the_body(httpserver):
    tokens = Tokens(httpserver)
    look(oauth(httpserver, tokens, client_auth="body"))
    form, login = tokens.forms[0]
    assert (form["client_id"], form["client_secret"], login) == ("portal:1", "secret/&?0123456789", None)


def test_a_token_that_ends_early_is_renewed_once(httpserver):
    tokens = Tokens(httpserver)
    settings = oauth(httpserver, tokens)
    columns = look(settings).columns
    answer = tokens.deals

    def expiring(request: Request) -> Response:
        if request.args.get("page") == "2" and tokens.given == 2:
            return Response("{}", status=401)
        return answer(request)

    httpserver.clear_all_handlers()
    httpserver.expect_request("/token", method="POST").respond_with_handler(tokens.give)
    httpserver.expect_request("/v1/deals").respond_with_handler(expiring)
    assert [row["id"] for row in read(settings, columns=columns)[0]] == [1, 2, 3]
    assert tokens.given == 3


def test_a_token_that_is_refused_again_is_not_renewed_for_ever(httpserver):
    tokens = Tokens(httpserver)
    settings = oauth(httpserver, tokens)
    httpserver.clear_all_handlers()
    httpserver.expect_request("/token", method="POST").respond_with_handler(tokens.give)
    httpserver.expect_request("/v1/deals").respond_with_response(Response("{}", status=401))
    with pytest.raises(TerminalError) as failure:
        get_connector("rest").check(settings)
    assert failure.value.kind == "unauthorized"
    assert tokens.given == 2


def test_a_token_that_lives_shortly_is_renewed_before_its_end(httpserver, monkeypatch):
    tokens = Tokens(httpserver, expires_in=20)
    clock = [0.0]
    monkeypatch.setattr(
        "sources.connectors.rest_auth.time.monotonic", lambda: clock.__setitem__(0, clock[0] + 5) or clock[0]
    )
    look(oauth(httpserver, tokens))
    assert tokens.given > 1


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (Response('{"error": "invalid_client"}', status=400), "did not accept the client ID and secret"),
        (Response("{}", status=401), "did not accept the client ID and secret"),
        (Response('{"token": "x"}'), "answered without an access token"),
        (Response("[1]"), "answered without an access token"),
    ],
)
def test_what_the_token_address_says_wrong_is_a_sentence(httpserver, response, sentence):
    httpserver.expect_request("/token").respond_with_response(response)
    settings = settings_for(
        httpserver, auth="oauth2", token_url=httpserver.url_for("/token"), client_id="a", client_secret=TOKEN
    )
    with pytest.raises(TerminalError) as failure:
        get_connector("rest").check(settings)
    assert sentence in failure.value.sentence
    assert TOKEN not in failure.value.detail


def test_the_token_address_is_guarded_like_every_other(httpserver):
    settings = settings_for(
        httpserver, auth="oauth2", token_url="http://169.254.169.254/token", client_id="a", client_secret=TOKEN
    )
    with pytest.raises(TerminalError) as failure:
        get_connector("rest").check(settings)
    assert failure.value.kind == "address"


def test_without_a_word_from_an_admin_nothing_inside_is_reached(httpserver):
    settings = settings_for(httpserver)
    del settings[ALLOWED_HOSTS]
    with pytest.raises(TerminalError) as failure:
        get_connector("rest").check(settings)
    assert failure.value.kind == "address"
    assert httpserver.log == []


# --- ways of paging ---------------------------------------------------------------------------------------------------
class Pages:
    """An API with seven deals, three a page at most whatever size is asked for, that pages in every way."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.asked: list[dict[str, str]] = []
        server.expect_request("/v1/deals").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        args = request.args.to_dict()
        self.asked.append(args)
        start = int(args.get("offset") or args.get("after") or (int(args.get("page", 1)) - 1) * 3)
        rows, more = DEALS[start : start + 3], start + 3 < len(DEALS)
        following = f"{request.path}?offset={start + 3}&size={args.get('size', '')}"
        body = {
            "data": rows,
            "paging": {"next": {"after": str(start + 3)}} if more else None,
            "links": {
                "next": request.host_url.rstrip("/") + following if more else None,
                "relative": following if more else "",
            },
            "has_more": more,
        }
        headers = {"Link": f'<{request.host_url.rstrip("/")}{following}>; rel="next"'} if more else {}
        return Response(orjson.dumps(body), headers=headers, content_type="application/json")


@pytest.mark.parametrize(
    "paging",
    [
        {"paging": "link"},
        {"paging": "next_url", "paging_path": "links.next"},
        {"paging": "next_url", "paging_path": "$.links.relative"},
        {"paging": "cursor", "paging_path": "paging.next.after", "paging_param": "after"},
        {"paging": "cursor", "paging_path": "data[-1].id", "paging_param": "after", "has_more": "has_more"},
        {"paging": "page", "paging_param": "page"},
        {"paging": "offset", "paging_param": "offset"},
        {"paging": "offset", "paging_param": "offset", "size_param": "size", "size": 100},
    ],
)
def test_each_way_of_paging_brings_every_row_once(httpserver, paging):
    api = Pages(httpserver)
    settings = settings_for(httpserver, endpoint(**paging))
    assert ids(settings) == [1, 2, 3, 4, 5, 6, 7]
    if "size_param" in paging:
        assert {asked["size"] for asked in api.asked} == {"100"}


def test_counting_may_begin_at_zero_and_end_with_404(httpserver):
    def answer(request: Request) -> Response:
        number = int(request.args["p"])
        return Response(f'{{"data": [{{"id": {number}}}]}}') if number < 3 else Response("{}", status=404)

    httpserver.expect_request("/v1/deals").respond_with_handler(answer)
    settings = settings_for(httpserver, endpoint(paging="page", paging_param="p", first_page=0))
    assert ids(settings) == [0, 1, 2]


def test_a_key_in_the_address_is_sent_once_also_when_the_next_address_repeats_it(httpserver):
    def answer(request: Request) -> Response:
        assert request.args.getlist("api_key") == [TOKEN]
        if request.args.get("after"):
            return Response('{"data": [{"id": 2}]}')
        return Response(f'{{"data": [{{"id": 1}}], "next": "/v1/deals?after=1&api_key={TOKEN}"}}')

    httpserver.expect_request("/v1/deals").respond_with_handler(answer)
    settings = settings_for(
        httpserver, endpoint(paging="next_url", paging_path="next"), auth="query", key_name="api_key", api_key=TOKEN
    )
    assert ids(settings) == [1, 2]


@pytest.mark.parametrize(
    ("paging", "says"),
    [
        ({"paging": "page", "paging_param": "pg"}, "it seems to ignore “pg”"),
        ({"paging": "offset", "paging_param": "skip"}, "it seems to ignore “skip”"),
        ({"paging": "cursor", "paging_param": "mark", "paging_path": "mark"}, "it seems to ignore “mark”"),
        ({"paging": "next_url", "paging_path": "self"}, "leads back"),
    ],
)
def test_an_api_that_does_not_turn_pages_is_stopped(httpserver, paging, says):
    httpserver.expect_request("/v1/deals").respond_with_json(
        {"data": DEALS[:2], "mark": "m1", "self": httpserver.url_for("/v1/deals")}
    )
    settings = settings_for(httpserver, endpoint(**paging))
    sample = look(settings).sample
    assert says in sample.error
    with pytest.raises(TerminalError) as failure:
        read(settings, columns=look(settings_for(httpserver, endpoint())).columns)
    assert "“deals” sent the same page twice" in failure.value.sentence
    assert len(httpserver.log) <= 8


def test_a_next_address_on_another_host_is_not_followed(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json(
        {"data": DEALS, "next": "https://evil.example.com/v1/deals"}
    )
    settings = settings_for(httpserver, endpoint(paging="next_url", paging_path="next"), auth="bearer", token=TOKEN)
    with pytest.raises(TerminalError) as failure:
        look(settings)
    assert "next page is on another host (evil.example.com)" in failure.value.sentence


# --- what is new ------------------------------------------------------------------------------------------------------
CURSOR = {"cursor_field": "updated_at", "cursor_param": "since", "lookback_minutes": 60}


def recorded(server: HTTPServer, rows: list[Any]) -> list[str | None]:
    asked: list[str | None] = []

    def answer(request: Request) -> Response:
        asked.append(request.args.get("since"))
        return Response(orjson.dumps({"data": rows}))

    server.expect_request("/v1/deals").respond_with_handler(answer)
    return asked


@pytest.mark.parametrize(
    ("style", "shown"),
    [
        ("datetime", "2026-03-07T09:00:00Z"),
        ("date", "2026-03-07"),
        ("seconds", "1772874000"),
        ("milliseconds", "1772874000000"),
    ],
)
def test_the_second_read_asks_from_a_little_before_the_newest_row(httpserver, style, shown):
    asked = recorded(httpserver, DEALS)
    settings = settings_for(httpserver, endpoint(**CURSOR, cursor_format=style))
    spec = look(settings)
    assert spec.sync_modes[0] is SyncMode.INCREMENTAL
    rows, cursor = read(settings, columns=spec.columns)
    assert cursor == {"value": "2026-03-07T10:00:00+00:00"}
    assert rows[0]["updated_at"] == datetime(2026, 3, 1, 10, tzinfo=UTC)
    read(settings, cursor, columns=spec.columns)
    assert asked == [None, None, shown]


def test_a_start_is_where_the_first_read_begins(httpserver):
    asked = recorded(httpserver, DEALS)
    read(settings_for(httpserver, endpoint(**CURSOR, start="2026-01-01")))
    assert asked == ["2026-01-01T00:00:00Z"] * 2


def test_everything_each_time_ignores_the_cursor(httpserver):
    asked = recorded(httpserver, DEALS)
    settings = settings_for(httpserver, endpoint(**CURSOR))
    _, cursor = read(settings, {"value": "2026-03-07T10:00:00+00:00"}, mode=SyncMode.FULL_REFRESH)
    assert cursor is None
    assert asked == [None, None]


def test_a_backfill_begins_at_its_moment_and_never_skips_what_is_kept(httpserver):
    connector = get_connector("rest")
    request = StreamRequest("deals", cursor_field="updated_at")
    kept = {"value": "2026-03-07T10:00:00+00:00"}
    january = datetime(2026, 1, 1, tzinfo=UTC)
    assert connector.cursor_from(request, january, kept) == {"value": "2026-01-01T00:00:00+00:00"}
    assert connector.cursor_from(request, datetime(2026, 4, 1, tzinfo=UTC), kept) == kept
    assert connector.cursor_from(StreamRequest("deals"), january, kept) is None


def test_a_row_from_the_future_does_not_hide_what_comes_before_it(httpserver):
    recorded(httpserver, [*DEALS, {"id": 9, "updated_at": "2999-01-01T00:00:00Z"}])
    _, cursor = read(settings_for(httpserver, endpoint(**CURSOR)))
    assert datetime.fromisoformat(cursor["value"]) <= datetime.now(UTC)


def test_a_read_without_rows_keeps_the_cursor_and_makes_the_table(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": []})
    settings = settings_for(httpserver, endpoint(**CURSOR))
    columns = (Column("id", "bigint"), Column("updated_at", "timestamp"), Column("_extra", "json"))
    kept = {"value": "2026-03-07T10:00:00+00:00"}
    assert read(settings, kept, columns=columns) == ([], kept)


# --- what is learned --------------------------------------------------------------------------------------------------
def test_columns_are_learned_with_types_and_one_level_of_nesting(httpserver):
    rows = [
        {
            "id": 1,
            "amount": 10.5,
            "isWon": True,
            "closed_on": "2026-03-01",
            "at": "2026-03-01T10:00:00+02:00",
            "owner": {"id": 7, "firstName": "Ada", "team": {"id": 3}},
            "tags": ["a"],
            "by_day": {"2026-03-01": 1},
            "code": "007",
            "@odata.etag": "x",
            "nothing": None,
        },
        {"id": 2, "amount": 3, "isWon": None, "closed_on": "", "at": None, "owner": None, "code": "8"},
    ]
    httpserver.expect_request("/v1/deals").respond_with_json({"data": rows})
    settings = settings_for(httpserver)
    spec = look(settings)
    assert {column.name: column.type for column in spec.columns} == {
        "id": "bigint",
        "amount": "double",
        "is_won": "bool",
        "closed_on": "date",
        "at": "timestamp",
        "owner_id": "bigint",
        "owner_first_name": "text",
        "owner_team": "json",
        "tags": "json",
        "by_day": "json",
        "code": "text",
        "_extra": "json",
    }
    found, _ = read(settings, columns=spec.columns)
    assert found[0]["owner_team"] == '{"id":3}'
    assert found[0]["_extra"] == '{"@odata.etag":"x"}'
    assert found[0]["at"] == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert (found[1]["amount"], found[1]["closed_on"], found[1]["owner_id"]) == (3.0, None, None)
    assert "Kept as JSON in _extra, not as columns: “@odata.etag”." in spec.sample.notes


def test_a_new_field_goes_to_extra_and_a_value_that_does_not_fit_stops_the_read(httpserver):
    httpserver.expect_ordered_request("/v1/deals").respond_with_json({"data": [{"id": 1, "amount": 5}]})
    settings = settings_for(httpserver)
    columns = look(settings).columns
    httpserver.expect_ordered_request("/v1/deals").respond_with_json({"data": [{"id": 1, "amount": 5, "new": "x"}]})
    assert read(settings, columns=columns)[0] == [{"id": 1, "amount": 5, "_extra": '{"new":"x"}'}]
    httpserver.expect_ordered_request("/v1/deals").respond_with_json({"data": [{"id": 1, "amount": "five"}]})
    with pytest.raises(TerminalError) as failure:
        read(settings, columns=columns)
    assert "“amount” that is not a bigint" in failure.value.sentence
    assert "Types set by hand" in failure.value.sentence


def test_a_type_set_by_hand_wins(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": [{"id": 1, "amount": 5}]})
    settings = settings_for(httpserver, endpoint(types=["amount = number", "id = text"]))
    spec = look(settings)
    assert {column.name: column.type for column in spec.columns}["amount"] == "double"
    assert read(settings, columns=spec.columns)[0][0] == {"id": "1", "amount": 5.0, "_extra": None}


def test_a_key_may_be_nested(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": [{"a": {"b": {"id": 1}}, "x": 1}]})
    spec = look(settings_for(httpserver, endpoint(primary_key=["a.b.id"])))
    assert spec.primary_key == ("a_b_id",)
    assert "a_b_id" in [column.name for column in spec.columns]


# --- the first look ---------------------------------------------------------------------------------------------------
def suggested(spec: StreamSpec) -> dict[str, str]:
    return {suggestion.field: suggestion.value for suggestion in reversed(spec.sample.suggestions)}


def test_a_wrong_records_path_suggests_where_the_rows_are(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": {"items": DEALS}, "meta": {"tags": [{"x": 1}]}})
    spec = look(settings_for(httpserver, endpoint(records="results")))
    assert "“deals” has nothing at “results”. There is a list of 7 objects at “data.items”." in spec.sample.error
    assert suggested(spec)["records"] == "data.items"
    assert spec.columns == ()


def test_key_and_cursor_are_suggested(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": DEALS})
    spec = look(settings_for(httpserver, endpoint(primary_key=[])))
    assert suggested(spec) == {"primary_key": "id", "cursor_field": "updated_at"}
    assert spec.sample.error == ""


def test_a_next_page_that_nobody_asked_for_is_noticed(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": DEALS, "meta": {"next_cursor": "abc"}})
    spec = look(settings_for(httpserver))
    assert (suggested(spec)["paging"], suggested(spec)["paging_path"]) == ("cursor", "meta.next_cursor")


def test_the_sample_says_how_many_pages_were_tried(httpserver):
    Pages(httpserver)
    spec = look(settings_for(httpserver, endpoint(paging="offset", paging_param="offset", **CURSOR)))
    assert "3 pages were tried and turned as they should; 7 rows, and there are more." in spec.sample.notes
    assert "After these rows the next sync would ask with since=2026-03-07T09:00:00Z." in spec.sample.notes
    assert spec.sample.rows[0] == ("1", "2026-03-01 10:00:00", "Deal 1", "")


@pytest.mark.parametrize(
    ("rows", "changes", "says"),
    [
        ([{"x": 1}], {}, "has no field “id” to know a row by"),
        ([{"id": 1}, {"x": 1}], {}, "rows without “id”, so it cannot tell rows apart (1 of 2)"),
        ([{"id": 1, "x": 1}, {"id": 1, "x": 2}], {}, "different rows with the same “id” (1 of 2)"),
        ([{"id": 1, "updated_at": "soon"}], CURSOR, "has no time in “updated_at”"),
        ([], {}, "answered, but without any row"),
        ([1, 2], {}, "but not one of objects with fields"),
    ],
)
def test_settings_that_cannot_work_are_told_in_the_first_look(httpserver, rows, changes, says):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": rows})
    spec = look(settings_for(httpserver, endpoint(**changes)))
    assert says in spec.sample.error
    assert spec.columns == ()


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (Response("{}", status=404), "“deals”: localhost has nothing at “/deals” (404). Check the path."),
        (Response("{}", status=403), "“deals”: the log-in may not read “/deals” at localhost (403)."),
        (Response("{}", status=400), "“deals”: localhost refused the request."),
        (Response("<html>Log in</html>", content_type="text/html"), "“deals”: localhost sent a web page where data"),
        (Response("<!doctype html><p>Hi"), "sent a web page where data was expected"),
    ],
)
def test_what_goes_wrong_at_one_endpoint_names_it_and_spares_the_others(httpserver, response, says):
    httpserver.expect_request("/v1/deals").respond_with_response(response)
    httpserver.expect_request("/v1/people").respond_with_json([{"id": 1}])
    settings = settings_for(
        httpserver, endpoint(), {"name": "people", "path": "people", "records": "", "primary_key": ["id"]}
    )
    get_connector("rest").check(settings)
    deals, people = get_connector("rest").discover(settings)
    assert says in deals.sample.error
    assert (people.sample.error, len(people.columns)) == ("", 2)
    with pytest.raises(PortalError) as failure:
        read(settings, columns=people.columns)
    assert says in failure.value.sentence


def test_rows_without_their_key_are_not_loaded(httpserver):
    httpserver.expect_request("/v1/deals").respond_with_json({"data": [{"id": 1}, {"id": None}]})
    with pytest.raises(TerminalError) as failure:
        read(settings_for(httpserver), columns=(Column("id", "bigint"), Column("_extra", "json")))
    assert "“deals” has rows without “id”" in failure.value.sentence


def test_a_source_without_endpoints_says_so(httpserver):
    with pytest.raises(TerminalError) as failure:
        get_connector("rest").check({**settings_for(httpserver), "endpoints": []})
    assert "has no endpoint yet" in failure.value.sentence


def test_an_endpoint_nobody_looked_at_is_not_read_blindly(httpserver):
    with pytest.raises(TerminalError) as failure:
        list(get_connector("rest").read(settings_for(httpserver), StreamRequest("deals"), None))
    assert "Nobody has looked at the endpoint “deals” yet" in failure.value.sentence


def test_nothing_secret_is_left_in_a_failure(httpserver):
    secret = "pass_0123456789"
    pair = base64.b64encode(f"dana:{secret}".encode()).decode()
    httpserver.expect_request("/v1/deals").respond_with_response(Response(f"{secret} {pair}", status=400))
    settings = settings_for(httpserver, auth="basic", username="dana", password=secret)
    with pytest.raises(PortalError) as failure:
        read(settings, columns=(Column("id", "bigint"),))
    assert secret not in failure.value.detail
    assert pair not in failure.value.detail
    assert redact("plain") == "plain"
