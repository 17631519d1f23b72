"""Misbehaviour on demand, in process and over HTTP, as a client feels it."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from sandbox.faults import Fault, Faults


def test_a_fault_happens_as_often_as_asked_after_as_many_good_answers(stripe, sandbox):
    sandbox.stripe.faults.add("429", count=2, after=1, retry_after=3)
    answers = [stripe.get("/v1/customers") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "3"
    assert answers[1].json()["error"]["code"] == "rate_limit"
    assert sandbox.stripe.faults.served >= 2


def test_a_fault_can_be_limited_to_a_path(stripe, sandbox):
    sandbox.stripe.faults.add("500", count=None, path="/v1/invoices")
    assert stripe.get("/v1/customers").status_code == 200
    assert stripe.get("/v1/invoices").status_code == 500
    assert stripe.get("/v1/invoices").json()["error"]["type"] == "api_error"
    sandbox.stripe.faults.clear()
    assert stripe.get("/v1/invoices").status_code == 200


def test_a_reset_reaches_the_client_as_one(stripe, sandbox):
    sandbox.stripe.faults.add("reset")
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        stripe.get("/v1/customers")
    assert stripe.get("/v1/customers").status_code == 200


def test_a_truncated_body_is_shorter_than_promised(stripe, sandbox):
    sandbox.stripe.faults.add("truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        stripe.get("/v1/customers")
    assert stripe.get("/v1/customers").status_code == 200


def test_a_slow_answer_takes_its_time_and_is_right(stripe, sandbox):
    sandbox.stripe.faults.add("slow", seconds=0.3)
    began = time.monotonic()
    assert stripe.get("/v1/customers").status_code == 200
    assert time.monotonic() - began >= 0.3


def test_an_expired_token_and_a_missing_permission_are_said(stripe, github, sandbox):
    sandbox.stripe.faults.add("expired_token")
    assert stripe.get("/v1/customers").json()["error"]["code"] == "api_key_expired"
    sandbox.stripe.faults.add("forbidden")
    assert "rak_customer_read" in stripe.get("/v1/customers").json()["error"]["message"]
    sandbox.github.faults.add("forbidden")
    assert github.get("/user").status_code == 403


def test_githubs_two_limits_look_like_githubs(github, sandbox):
    sandbox.github.faults.add("rate_limit", retry_after=5)
    primary = github.get("/user")
    assert (primary.status_code, primary.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert int(primary.headers["X-RateLimit-Reset"]) <= time.time() + 6
    sandbox.github.faults.add("secondary_rate_limit", retry_after=5)
    secondary = github.get("/user")
    assert (secondary.status_code, secondary.headers["Retry-After"]) == (403, "5")
    assert "secondary rate limit" in secondary.json()["message"]


def test_faults_can_be_ordered_over_http(stripe, sandbox):
    address = f"{sandbox.github.base_url}/_sandbox/faults"
    order = {"service": "stripe", "kind": "503", "count": 1, "after": 1}
    assert requests.post(address, json=order, timeout=10).status_code == 201
    assert [stripe.get("/v1/customers").status_code for _ in range(3)] == [200, 503, 200]
    requests.post(address, json=order, timeout=10)
    assert requests.delete(address, timeout=10).json() == {"waiting": []}
    for wrong in ({"service": "stripe", "kind": "earthquake"}, {"service": "fax", "kind": "500"}, {"kind": "500"}):
        assert requests.post(address, json=wrong, timeout=10).status_code == 400
    assert sandbox.stripe.faults.waiting() == []


def test_requests_are_counted(stripe, sandbox):
    stripe.get("/v1/customers")
    stripe.get("/v1/customers/none")
    stripe.get("/v1/invoices", params={"limit": 2})
    assert (sandbox.stripe.count(), sandbox.stripe.count("customers")) == (3, 2)
    seen = sandbox.stripe.requests[-1]
    assert (seen.path, seen.query, seen.status, seen.fault) == ("/v1/invoices", {"limit": ["2"]}, 200, None)
    told = requests.get(f"{sandbox.stripe.base_url}/_sandbox/requests", timeout=10).json()
    assert told["stripe"]["count"] == 3


def test_a_fault_that_cannot_happen_is_refused():
    faults = Faults()
    with pytest.raises(ValueError, match="Unknown fault"):
        faults.add("earthquake")
    with pytest.raises(ValueError, match="at least once"):
        Fault("500", count=0)


def test_a_storm_goes_over_several_requests_on_any_path_and_then_passes(stripe, sandbox):
    sandbox.stripe.faults.add("storm", count=3, retry_after=1)
    paths = ("/v1/customers", "/v1/invoices", "/v1/events", "/v1/customers")
    answers = [stripe.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert answers[0].json()["error"]["code"] == "rate_limit"
    assert Fault("storm").count == 6


def test_a_duplicated_page_holds_every_object_twice(stripe, github, sandbox):
    good = stripe.json("/v1/customers", limit=5)
    sandbox.stripe.faults.add("duplicate_page")
    twice = stripe.json("/v1/customers", limit=5)
    assert twice == {**good, "data": good["data"] * 2}
    repositories = github.json("/user/repos")
    sandbox.github.faults.add("duplicate_page")
    assert github.json("/user/repos") == repositories * 2


def test_a_page_out_of_order_holds_the_same_objects(stripe, sandbox):
    good = [each["id"] for each in stripe.json("/v1/customers", limit=20)["data"]]
    sandbox.stripe.faults.add("out_of_order", count=2)
    first, second = ([each["id"] for each in stripe.json("/v1/customers", limit=20)["data"]] for _ in range(2))
    assert first == second != good
    assert sorted(first) == sorted(good)


@pytest.mark.parametrize(("how", "left"), [("rename", {"email_v2"}), ("retype", {"email"}), ("drop", set())])
def test_a_changed_schema_changes_one_field_and_brings_a_new_one(stripe, sandbox, how, left):
    good = stripe.json("/v1/customers", limit=3)["data"]
    sandbox.stripe.faults.add("changed_schema", field="email", how=how)
    changed = stripe.json("/v1/customers", limit=3)["data"]
    for before, after in zip(good, changed, strict=True):
        assert after.keys() == before.keys() - {"email"} | left | {"brand_new_field"}
        if how == "retype":
            assert after["email"] == {"value": before["email"]}
        if how == "rename":
            assert after["email_v2"] == before["email"]


def test_a_skewed_clock_shows_in_the_headers(github, sandbox):
    reset = int(github.get("/user").headers["X-RateLimit-Reset"])
    sandbox.github.faults.add("clock_skew", seconds=-600)
    answer = github.get("/user")
    assert answer.status_code == 200
    off = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
    assert -620 < off < -580
    assert int(answer.headers["X-RateLimit-Reset"]) == reset - 600
    assert Fault("clock_skew").seconds == 420


def test_an_answer_cut_short_looks_whole_to_the_connection(stripe, sandbox):
    sandbox.stripe.faults.add("cut_short")
    answer = stripe.get("/v1/customers")
    assert (answer.status_code, int(answer.headers["Content-Length"])) == (200, len(answer.content))
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_mixpanel_says_in_the_last_line_that_it_gave_up(sandbox):
    told = sandbox.endpoints()["mixpanel"]
    query = {"project_id": told["project_id"], "from_date": "2026-03-01", "to_date": "2026-03-16"}
    address, auth = f"{told['base_url']}/api/2.0/export", (told["username"], told["secret"])
    whole = requests.get(address, query, auth=auth, timeout=20).content.splitlines()
    sandbox.mixpanel.faults.add("cut_short")
    cut = requests.get(address, query, auth=auth, timeout=20).content.splitlines()
    assert cut == [*whole[: len(whole) // 2], b"export terminated early"]
    sandbox.mixpanel.faults.add("duplicate_page")
    assert len(requests.get(address, query, auth=auth, timeout=20).content.splitlines()) == 2 * len(whole)


def test_a_refusal_is_not_spoiled_and_an_answer_without_objects_stays_as_it_is(stripe, sandbox):
    sandbox.stripe.faults.add("duplicate_page")
    assert stripe.get("/v1/customers/none").status_code == 404
    good = stripe.json("/v1/account")
    sandbox.stripe.faults.add("out_of_order")
    assert stripe.json("/v1/account") == good


def test_an_order_that_makes_no_sense_is_refused():
    for options in ({"kind": "changed_schema"}, {"kind": "changed_schema", "field": "id", "how": "explode"}):
        with pytest.raises(ValueError, match="field"):
            Fault(**options)
