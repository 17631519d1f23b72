"""Mixpanel's door: what the specification and the official examples say, and one world with the product database."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

import pytest
import requests
from jsonschema import Draft202012Validator

from sandbox.features import FEATURES
from tests.sandbox.specs import FIXTURES, complaints, spec

pytestmark = pytest.mark.slow  # a company is simulated for it

ZONE = ZoneInfo("America/Los_Angeles")


@pytest.fixture
def mixpanel(sandbox):
    """Asks the door with its key: (method, path, query, form) → the answer."""
    told = sandbox.endpoints()["mixpanel"]
    session = requests.Session()
    session.auth = (told["username"], told["secret"])

    def ask(method, path, form=None, **query):
        query = {"project_id": told["project_id"], **query}
        return session.request(method, told["base_url"] + path, params=query, data=form, timeout=20)

    return ask


def export(mixpanel, start, end, **query):
    answer = mixpanel("GET", "/api/2.0/export", from_date=str(start), to_date=str(end), **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    return [json.loads(line) for line in answer.content.splitlines()]


@pytest.mark.parametrize("path", ["/engage", "/cohorts/list"])
def test_answers_are_as_the_specification_says(mixpanel, path):
    said = spec("mixpanel")["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    body = mixpanel("POST", f"/api/query{path}", form={}).json()
    assert complaints(Draft202012Validator(said), body) == []
    name = {"/engage": "engage", "/cohorts/list": "cohorts"}[path]
    example = json.loads((FIXTURES / "mixpanel" / "examples" / f"{name}.json").read_text())["interactions"][0]
    theirs = example["response"]["body"]
    first, ours = (theirs[0], body[0]) if isinstance(theirs, list) else (theirs, body)
    assert ours.keys() == first.keys()
    if path == "/engage":
        assert first["results"][0].keys() == ours["results"][0].keys()
        assert first["results"][0]["$properties"].keys() <= ours["results"][0]["$properties"].keys()


def test_an_exported_event_has_what_the_official_example_has(mixpanel):
    example = json.loads((FIXTURES / "mixpanel" / "examples" / "export.json").read_text())["interactions"][0]
    theirs = json.loads(example["response"]["body"].splitlines()[0])
    for event in export(mixpanel, "2026-03-14", "2026-03-16"):
        assert event.keys() == theirs.keys()
        assert theirs["properties"].keys() <= event["properties"].keys()


def test_the_export_holds_the_uses_of_the_product_by_the_projects_clock(mixpanel, sandbox):
    uses = sandbox.company.product.uses
    day = dt.date(2026, 3, 8)  # 23 hours long in California
    start, end = (int(dt.datetime.combine(day + dt.timedelta(n), dt.time(), ZONE).timestamp()) for n in (0, 1))
    assert end - start == 23 * 3600
    told = {}
    for event in export(mixpanel, day, day):
        properties = event["properties"]
        stamp = dt.datetime.fromtimestamp(properties["time"], dt.UTC)
        assert stamp.date() == day
        moment = int(stamp.replace(tzinfo=ZONE).timestamp())
        told[properties["$insert_id"]] = (moment, int(properties["distinct_id"]), event["event"])
    true = {
        f"{uses.bits(index):016x}": (uses.moments[index], uses.users[index], FEATURES[uses.features[index]].event)
        for index in uses.between(start, end)
    }
    assert told == true
    assert true


def test_an_event_says_the_same_as_the_product_database(mixpanel, sandbox):
    rows = {row[0]: row for row in sandbox.company.product.take().events}
    uses = sandbox.company.product.uses
    numbers = {f"{uses.bits(index):016x}": index + 1 for index in range(len(uses))}
    events = export(mixpanel, "2026-03-10", "2026-03-12")
    assert events
    for event in events:
        properties = event["properties"]
        _, user, workspace, name, body, _ = rows[numbers[properties["$insert_id"]]]
        assert (str(user), workspace, name) == (properties["distinct_id"], properties["workspace_id"], event["event"])
        assert json.loads(body).items() <= properties.items()


def test_late_events_are_not_there_before_they_were_delivered_and_some_come_twice(fresh):
    sandbox = fresh(now=int(dt.datetime(2026, 3, 16, 9, 30, tzinfo=dt.UTC).timestamp()), scale=0.3)
    told = sandbox.endpoints()["mixpanel"]

    def lines():
        query = {"project_id": told["project_id"], "from_date": "2026-03-01", "to_date": "2026-03-15"}
        answer = requests.get(
            told["base_url"] + "/api/2.0/export", query, auth=(told["username"], told["secret"]), timeout=20
        )
        return [json.loads(line)["properties"] for line in answer.content.splitlines()]

    before = lines()
    assert max(each["mp_processing_time_ms"] for each in before) <= (sandbox.now + 1) * 1000
    sandbox.advance(days=4)
    after = lines()
    assert len(after) > len(before)
    # only the last hours and what came late is new
    ids = [each["$insert_id"] for each in after]
    assert len(ids) > len(set(ids))
    assert {each["$insert_id"] for each in before} <= set(ids)


def test_an_export_can_be_narrowed(mixpanel):
    whole = export(mixpanel, "2026-03-10", "2026-03-12")
    assert export(mixpanel, "2026-03-10", "2026-03-12", limit=3) == whole[:3]
    some = export(mixpanel, "2026-03-10", "2026-03-12", event='["api.called"]')
    assert some == [event for event in whole if event["event"] == "api.called"]
    precise = export(mixpanel, "2026-03-10", "2026-03-10", time_in_ms="true")
    assert precise[0]["properties"]["time"] == whole[0]["properties"]["time"] * 1000
    assert export(mixpanel, "2019-01-01", "2019-01-31") == []


def test_profiles_are_paged_by_session(mixpanel, sandbox, monkeypatch):
    monkeypatch.setattr("sandbox.doors.mixpanel.PAGE_SIZE", 400)
    page = mixpanel("POST", "/api/query/engage").json()
    ids = [each["$distinct_id"] for each in page["results"]]
    while len(page["results"]) == 400:
        form = {"session_id": page["session_id"], "page": page["page"] + 1}
        page = mixpanel("POST", "/api/query/engage", form=form).json()
        ids += [each["$distinct_id"] for each in page["results"]]
    assert len(ids) == len(set(ids)) == page["total"] > 400
    refused = mixpanel("POST", "/api/query/engage", form={"session_id": "unknown", "page": 1})
    assert (refused.status_code, refused.json()["error"]) == (400, "request for page in uncached query for params")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"from_date": "March"}, 400, "from_date must be a date"),
        ({"to_date": "2026-01-01"}, 400, "to_date cannot be before"),
        ({"limit": "0"}, 400, "limit"),
        ({"event": "opened"}, 400, "event must be a JSON array"),
        ({"project_id": ""}, 400, "project_id is a required parameter"),
        ({"project_id": "7"}, 403, "does not have access"),
    ],
)
def test_bad_questions_are_refused(mixpanel, query, status, words):
    answer = mixpanel("GET", "/api/2.0/export", **{"from_date": "2026-03-01", "to_date": "2026-03-02", **query})
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_without_the_key_nothing_is_shown(sandbox):
    told = sandbox.endpoints()["mixpanel"]
    for auth in (None, (told["username"], "wrong"), ("wrong", told["secret"])):
        assert requests.get(told["base_url"] + "/api/2.0/export", auth=auth, timeout=10).status_code == 401


def test_the_hourly_limit_is_enforced(mixpanel, sandbox, monkeypatch):
    monkeypatch.setattr(sandbox.mixpanel, "limit", 0)
    answer = mixpanel("POST", "/api/query/cohorts/list")
    assert (answer.status_code, answer.json()["code"]) == (429, 429)
