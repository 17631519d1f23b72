"""Waiting, trying again and giving up, against real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response
from werkzeug.http import http_date

from portal.failures import TerminalError, TransientError
from sources.connectors import http
from sources.connectors.base import RateLimit
from sources.connectors.http import ApiClient

KEY = "sk_test_abcdefghijklmnop"


@pytest.fixture
def client(httpserver: HTTPServer, pauses: list[float]) -> ApiClient:
    return ApiClient(
        "Acme", httpserver.url_for("/"), {"Authorization": f"Bearer {KEY}"}, unauthorized="The key is wrong."
    )


def in_turn(*answers: Response) -> Callable[[Request], Response]:
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def ok(body: str = '{"ok": true}', **headers: str) -> Response:
    return Response(body, headers=headers, content_type="application/json")


def test_429_waits_as_long_as_asked(httpserver, client, pauses):
    httpserver.expect_request("/x").respond_with_handler(
        in_turn(Response(status=429, headers={"Retry-After": "7"}), ok())
    )

    assert client.get("x").body == {"ok": True}
    assert len(pauses) == 1
    assert 7 <= pauses[0] < 8


def test_retry_after_may_be_a_date(httpserver, client, pauses):
    headers = {"Retry-After": http_date(time.time() + 30)}
    httpserver.expect_request("/x").respond_with_handler(in_turn(Response(status=429, headers=headers), ok()))

    client.get("x")

    assert 28 <= pauses[0] < 33


def test_a_long_wait_lets_go_of_the_worker(httpserver, client, pauses):
    httpserver.expect_request("/x").respond_with_response(Response(status=429, headers={"Retry-After": "3600"}))

    with pytest.raises(TransientError) as failure:
        client.get("x")

    assert failure.value.kind == "rate_limited"
    assert failure.value.retry_after == 3600
    assert "60 min" in failure.value.sentence
    assert pauses == []


def test_primary_rate_limit_waits_until_the_reset(httpserver, client, pauses):
    reset = str(int(time.time()) + 20)
    limited = Response(status=403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset})
    httpserver.expect_request("/x").respond_with_handler(in_turn(limited, ok()))

    client.get("x")

    assert 15 <= pauses[0] <= 22


def test_secondary_rate_limit_is_no_missing_permission(httpserver, client, pauses):
    limited = Response('{"message": "You have exceeded a secondary rate limit."}', status=403)
    httpserver.expect_request("/x").respond_with_handler(in_turn(limited, ok()))

    client.get("x")

    assert pauses[0] >= 60


def test_a_limit_that_never_ends_is_given_up(httpserver, client, pauses):
    httpserver.expect_request("/x").respond_with_response(Response(status=429, headers={"Retry-After": "1"}))

    with pytest.raises(TransientError) as failure:
        client.get("x")

    assert failure.value.kind == "rate_limited"
    assert len(pauses) == http.RATE_LIMIT_TRIES - 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_errors_are_tried_again_with_growing_pauses(httpserver, client, pauses, status):
    broken = Response("oops", status=status)
    httpserver.expect_request("/x").respond_with_handler(in_turn(broken, broken, broken, ok()))

    client.get("x")

    assert len(pauses) == 3
    for number, pause in enumerate(pauses):
        longest = http.FIRST_PAUSE * 2**number
        assert longest / 2 <= pause <= longest


def test_a_server_that_stays_broken_may_be_better_later(httpserver, client, pauses):
    httpserver.expect_request("/x").respond_with_response(Response("oops", status=500))

    with pytest.raises(TransientError) as failure:
        client.get("x")

    assert failure.value.kind == "server_error"
    assert "HTTP 500" in failure.value.sentence
    assert len(httpserver.log) == http.TRIES


def test_an_answer_that_is_not_json_is_tried_again(httpserver, client):
    httpserver.expect_request("/x").respond_with_handler(in_turn(ok("<html>maintenance</html>"), ok()))
    assert client.get("x").body == {"ok": True}


def test_a_dead_server_may_come_back(pauses):
    client = ApiClient("Acme", "http://127.0.0.1:9", {}, unauthorized="")
    with pytest.raises(TransientError) as failure:
        client.get("x")
    assert failure.value.kind == "unreachable"
    assert len(pauses) == http.TRIES - 1


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (401, "unauthorized", "The key is wrong."),
        (403, "forbidden", "Give it Read on Invoices."),
        (404, "not_found", "Acme does not know what we asked for. Check the names in the settings."),
        (400, "refused", "Acme refused the request (HTTP 400)."),
    ],
)
def test_refusals_are_final_and_said_in_words(httpserver, client, pauses, status, kind, sentence):
    httpserver.expect_request("/x").respond_with_response(Response('{"error": "no"}', status=status))

    with pytest.raises(TerminalError) as failure:
        client.get("x", forbidden="Give it Read on Invoices.")

    assert (failure.value.kind, failure.value.sentence) == (kind, sentence)
    assert '{"error": "no"}' in failure.value.detail
    assert len(httpserver.log) == 1


def test_the_key_never_goes_to_another_host(httpserver, client):
    elsewhere = httpserver.url_for("/stolen").replace("localhost", "127.0.0.1")
    assert elsewhere != httpserver.url_for("/stolen")
    httpserver.expect_request("/x").respond_with_response(Response(status=302, headers={"Location": elsewhere}))
    httpserver.expect_request("/stolen").respond_with_json({})

    with pytest.raises(TerminalError) as failure:
        client.get("x")

    assert failure.value.kind == "redirect"
    assert [request.path for request, _ in httpserver.log] == ["/x"]


def test_a_redirect_on_the_same_host_is_followed(httpserver, client):
    httpserver.expect_request("/old").respond_with_response(Response(status=301, headers={"Location": "/new"}))
    httpserver.expect_request("/new", headers={"Authorization": f"Bearer {KEY}"}).respond_with_json({"moved": 1})
    assert client.get("old").body == {"moved": 1}


def test_the_next_page_is_fetched_from_the_base_url(httpserver, client):
    link = '<https://api.example.com/x?page=2>; rel="next"'
    httpserver.expect_ordered_request("/x").respond_with_response(ok("[1]", Link=link))
    httpserver.expect_ordered_request("/x", query_string="page=2").respond_with_response(ok("[2]"))
    assert [answer.body for answer in client.pages("x")] == [[1], [2]]


def test_netrc_does_not_replace_the_key(httpserver, client, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine localhost login mallory password hunter2222\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    httpserver.expect_request("/x", headers={"Authorization": f"Bearer {KEY}"}).respond_with_json({})
    client.get("x")


def test_a_base_url_must_be_an_address():
    with pytest.raises(TerminalError, match="full web address"):
        ApiClient("Acme", "api.acme.com", {}, unauthorized="")


def test_a_question_may_be_posted_and_is_asked_again(httpserver, client, pauses):
    httpserver.expect_request("/search", method="POST", json={"after": "5"}).respond_with_handler(
        in_turn(Response(status=503), ok('{"results": []}'))
    )

    assert client.post("search", {"after": "5"}).body == {"results": []}
    assert len(pauses) == 1


def test_a_form_is_posted_as_a_form(httpserver, client):
    httpserver.expect_request("/token", method="POST", data="grant_type=x").respond_with_json({"access_token": "t"})

    assert client.post("token", form={"grant_type": "x"}).body == {"access_token": "t"}


def test_lines_arrive_one_by_one(httpserver, client):
    httpserver.expect_request("/export").respond_with_data('{"a": 1}\n\n{"a": 2}\n', content_type="text/plain")

    assert list(client.lines("export", {"day": "1"})) == [{"a": 1}, {"a": 2}]


def test_lines_that_break_off_are_told(httpserver, client):
    httpserver.expect_request("/export").respond_with_data('{"a": 1}\n{"a": ', content_type="text/plain")
    lines = client.lines("export")

    assert next(lines) == {"a": 1}
    with pytest.raises(TransientError, match="broke off in the middle"):
        next(lines)


def test_a_good_status_may_hold_bad_news(httpserver, pauses):
    def judge(body, response):
        if body["ok"]:
            return None
        if body["error"] == "ratelimited":
            return 3.0
        raise TerminalError("It said no.", kind="refused")

    client = ApiClient("Acme", httpserver.url_for("/"), {}, unauthorized="", judge=judge)
    httpserver.expect_request("/x").respond_with_handler(
        in_turn(ok('{"ok": false, "error": "ratelimited"}'), ok('{"ok": false, "error": "gone"}'))
    )

    with pytest.raises(TerminalError, match="It said no"):
        client.get("x")
    assert 3 <= pauses[0] < 4


def test_the_client_keeps_below_a_limit_by_itself(httpserver, pauses):
    client = ApiClient("Acme", httpserver.url_for("/"), {}, unauthorized="", limits=(RateLimit(2, 30.0),))
    httpserver.expect_request("/x").respond_with_json({})

    for _ in range(3):
        client.get("x")

    assert len(pauses) == 1
    assert 28 < pauses[0] <= 30


def test_an_answer_to_many_questions_is_good_though_some_have_none(httpserver, client):
    httpserver.expect_request("/x").respond_with_json({"results": [1], "errors": [{"category": "NONE"}]}, status=207)
    assert client.post("x", {"inputs": [1, 2]}).body["results"] == [1]
