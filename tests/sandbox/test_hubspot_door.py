"""How the HubSpot door behaves: tokens, scopes, pages, search, batches, limits, and answers in HubSpot's shapes."""

from __future__ import annotations

import json
import re

import pytest
import requests

from sandbox.crm import WON
from sandbox.doors.hubspot import Window
from sandbox.doors.hubspot_objects import KINDS, stamp
from tests.sandbox.conftest import Client
from tests.sandbox.specs import FIXTURES, recordings

KINDS_WITH_LISTS = tuple(KINDS)


@pytest.fixture
def hubspot(sandbox):
    """As fast as anybody likes, unless a test sets a limit."""
    door = sandbox.hubspot
    before = (door.burst, door.searches, door.most_results, door.search_lag)
    door.burst, door.searches = Window(None, 10.0), Window(None, 1.0)
    yield Client(door.base_url, door.access_token)
    door.burst, door.searches, door.most_results, door.search_lag = before


@pytest.fixture
def crm(sandbox):
    return sandbox.company.sales.crm


def post(client, path, body, status=200):
    answer = client.session.post(client.base_url + path, json=body, timeout=20)
    assert answer.status_code == status, answer.text
    return answer.json()


def every(client, kind, **params):
    rows, after = [], None
    while True:
        body = client.json(f"/crm/v3/objects/{kind}", limit=100, **params, **({"after": after} if after else {}))
        rows += body["results"]
        if "paging" not in body:
            return rows
        after = body["paging"]["next"]["after"]


def shape(value):
    """Keys and types of an answer; property bags by their type only, as they differ from account to account."""
    if isinstance(value, dict):
        return {key: "bag" if key == "properties" else shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def recorded(url_part, status=200, method="GET"):
    return next(
        exchange["response"]
        for exchange in recordings("hubspot")
        if exchange["request"]["method"] == method
        and re.search(url_part, exchange["request"]["url"])
        and exchange["response"]["status"] == status
    )


# --- shapes -------------------------------------------------------------------------------------------------------------------
def test_a_list_looks_like_the_recorded_one(hubspot):
    theirs = recorded(r"objects/contacts\?limit=25")["body"]
    ours = hubspot.json("/crm/v3/objects/contacts", limit=25)
    assert shape(ours) == shape(theirs)
    assert set(ours["results"][0]["properties"]) == set(theirs["results"][0]["properties"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ours["results"][0]["createdAt"])


def test_properties_that_were_asked_for_come_with_three_more_as_recorded(hubspot):
    theirs = recorded("properties=email,firstname")["body"]["results"][0]
    ours = hubspot.json("/crm/v3/objects/contacts", limit=1, properties="email,firstname")["results"][0]
    assert set(ours["properties"]) == set(theirs["properties"])


@pytest.mark.parametrize("kind", ["contacts", "companies", "deals"])
def test_the_usual_properties_are_those_that_hubspot_sends(hubspot, kind):
    theirs = json.loads((FIXTURES / "hubspot" / f"crm-v3-{kind}.json").read_text())["results"][0]
    ours = hubspot.json(f"/crm/v3/objects/{kind}", limit=1)["results"][0]
    assert set(ours["properties"]) == set(theirs["properties"])
    assert set(theirs) <= set(ours)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("/crm/v3/owners?archived=false&limit=100", "v3/owners"),
        ("/crm/v3/properties/contacts", "v3/properties/contacts"),
    ],
)
def test_owners_and_properties_look_like_the_recorded_ones(hubspot, ours, theirs):
    assert shape(hubspot.json(ours)) == shape(recorded(theirs)["body"])


def test_a_search_looks_like_the_recorded_one(hubspot):
    theirs = recorded("contacts/search", method="POST")["body"]
    token = {"propertyName": "email", "operator": "CONTAINS_TOKEN", "value": ".example"}
    ours = post(hubspot, "/crm/v3/objects/contacts/search", {"filterGroups": [{"filters": [token]}], "limit": 5})
    ours["results"] = [{k: v for k, v in each.items() if k != "url"} for each in ours["results"]]
    assert shape(ours) == shape(theirs)
    assert ours["paging"]["next"]["after"] == theirs["paging"]["next"]["after"]


def test_associations_look_like_the_recorded_ones(hubspot, crm):
    theirs = recorded("v4/objects/Deal/.*/associations/Contact")["body"]
    deal = next(each for each in crm.deals.values() if each.archived_at is None)
    ours = hubspot.json(f"/crm/v4/objects/Deal/{deal.id}/associations/Contact")
    assert shape(ours) == shape(theirs)
    assert ours["results"][0]["associationTypes"] == theirs["results"][0]["associationTypes"]


def test_errors_look_like_the_recorded_ones(hubspot, sandbox):
    token = sandbox.hubspot.restrict("crm.objects.deals.read")
    answer = requests.get(
        f"{hubspot.base_url}/crm/v3/objects/contacts", headers={"Authorization": f"Bearer {token}"}, timeout=10
    )
    theirs = recorded("objects/contacts/1", 403)["body"]
    ours = answer.json()
    assert answer.status_code == 403
    assert set(ours) == set(theirs)
    assert (ours["category"], ours["message"]) == (theirs["category"], theirs["message"])
    assert ours["errors"][0]["context"]["requiredGranularScopes"] == ["crm.objects.contacts.read"]
    missing = hubspot.get("/crm/v3/objects/companies/1")
    assert (missing.status_code, missing.text) == (404, recorded("companies/23828159705", 404)["body"])


# --- behaviour ----------------------------------------------------------------------------------------------------------------
def test_a_wrong_or_expired_token_is_refused(sandbox, hubspot):
    expired = sandbox.hubspot.restrict("tickets")
    sandbox.hubspot.expire(expired)
    for token, category in (("", "INVALID_AUTHENTICATION"), ("x", "INVALID_AUTHENTICATION"), (expired, "EXPIRED_")):
        answer = requests.get(
            f"{hubspot.base_url}/crm/v3/owners", headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        assert answer.status_code == 401
        assert answer.json()["category"].startswith(category)


@pytest.mark.parametrize("kind", KINDS_WITH_LISTS)
def test_a_list_leads_through_all_records_once(hubspot, sandbox, crm, kind):
    ids = [int(row["id"]) for row in every(hubspot, kind)]
    assert ids == sorted(number for number, each in crm.records(kind).items() if each.archived_at is None)


def test_archived_records_are_listed_apart_and_only_for_ninety_days(hubspot, sandbox, crm):
    listed = {int(row["id"]) for row in every(hubspot, "contacts", archived="true")}
    since = sandbox.now - 90 * 86_400
    assert listed == {c.id for c in crm.contacts.values() if c.archived_at is not None and c.archived_at > since}


def test_a_merged_contact_is_answered_as_the_one_that_stayed(hubspot, crm):
    gone, kept = next(
        (g, k) for g, k in crm.merged_into.items() if k in crm.contacts and not crm.contacts[k].archived_at
    )
    body = hubspot.json(f"/crm/v3/objects/contacts/{gone}", properties="hs_merged_object_ids")
    assert body["id"] == str(kept)
    assert str(gone) in body["properties"]["hs_merged_object_ids"].split(";")


def test_a_deal_tells_its_stages_newest_first(hubspot, crm):
    deal = next(each for each in crm.deals.values() if each.stage == WON)
    body = post(
        hubspot,
        "/crm/v3/objects/deals/batch/read",
        {"inputs": [{"id": str(deal.id)}], "properties": ["amount"], "propertiesWithHistory": ["dealstage"]},
    )
    history = body["results"][0]["propertiesWithHistory"]["dealstage"]
    assert [(each["value"], each["timestamp"]) for each in history] == [
        (stay.stage, stamp(stay.entered_at)) for stay in reversed(deal.history)
    ]


def test_a_batch_says_what_it_did_not_find(hubspot, crm):
    known = next(iter(crm.companies))
    body = post(hubspot, "/crm/v3/objects/companies/batch/read", {"inputs": [{"id": str(known)}, {"id": "1"}]}, 207)
    assert [row["id"] for row in body["results"]] == [str(known)]
    assert body["errors"][0]["context"]["ids"] == ["1"]


def test_associations_are_the_same_from_both_sides(hubspot, crm):
    deal = next(each for each in crm.deals.values() if each.archived_at is None)
    path = "/crm/v4/associations/{}/{}/batch/read"
    there = post(hubspot, path.format("deals", "companies"), {"inputs": [{"id": str(deal.id)}]})
    assert there["results"][0]["to"][0]["toObjectId"] == deal.company.id
    back = post(hubspot, path.format("companies", "deals"), {"inputs": [{"id": str(deal.company.id)}]})
    assert deal.id in {each["toObjectId"] for each in back["results"][0]["to"]}
    inline = hubspot.json("/crm/v3/objects/deals", limit=1, associations="companies,contacts")["results"][0]
    assert inline["associations"]["companies"]["results"][0]["type"] == "deal_to_company"


def test_a_search_filters_sorts_and_pages(hubspot, crm):
    changed = sorted(each.updated_at for each in crm.deals.values() if each.archived_at is None)
    middle = changed[len(changed) // 2] * 1000
    question = {
        "filterGroups": [
            {"filters": [{"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": str(middle)}]}
        ],
        "sorts": [{"propertyName": "hs_lastmodifieddate", "direction": "ASCENDING"}],
        "limit": 10,
    }
    first = post(hubspot, "/crm/v3/objects/deals/search", question)
    assert first["total"] == sum(moment * 1000 >= middle for moment in changed)
    second = post(hubspot, "/crm/v3/objects/deals/search", {**question, "after": first["paging"]["next"]["after"]})
    times = [row["properties"]["hs_lastmodifieddate"] for row in first["results"] + second["results"]]
    assert times == [stamp(moment) for moment in changed if moment * 1000 >= middle][:20]


@pytest.mark.parametrize(
    "question",
    [
        {"limit": 201},
        {"limit": 100, "after": "9950"},
        {"sorts": ["createdate", "hs_object_id"]},
        {"filterGroups": [{"filters": [{"propertyName": "no_such", "operator": "EQ", "value": "1"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "createdate", "operator": "GT", "value": "soon"}]}]},
        {"properties": ["a" * 3000]},
        {"filterGroups": [{}]},
    ],
)
def test_a_search_that_hubspot_would_refuse_is_refused(hubspot, question):
    assert post(hubspot, "/crm/v3/objects/contacts/search", question, 400)["category"] == "VALIDATION_ERROR"


def test_the_search_may_lag_behind(hubspot, sandbox, crm):
    newest = max(each.updated_at for each in crm.contacts.values() if each.archived_at is None)
    sandbox.hubspot.search_lag = sandbox.now - newest + 1
    question = {"sorts": [{"propertyName": "lastmodifieddate", "direction": "DESCENDING"}], "limit": 1}
    found = post(hubspot, "/crm/v3/objects/contacts/search", question)["results"][0]
    assert found["properties"]["lastmodifieddate"] < stamp(newest)


def test_limits_are_told_and_kept(hubspot, sandbox):
    sandbox.hubspot.burst = Window(3, 60.0)
    left = [hubspot.get("/account-info/v3/details") for _ in range(4)]
    assert [answer.headers["X-HubSpot-RateLimit-Remaining"] for answer in left[:3]] == ["2", "1", "0"]
    assert [answer.status_code for answer in left] == [200, 200, 200, 429]
    assert left[3].json()["policyName"] == "TEN_SECONDLY_ROLLING"
    sandbox.hubspot.burst, sandbox.hubspot.searches = Window(None, 10.0), Window(2, 60.0)
    answers = [post(hubspot, "/crm/v3/objects/deals/search", {}) for _ in range(2)]
    assert all(answer["total"] for answer in answers)
    assert post(hubspot, "/crm/v3/objects/deals/search", {}, 429)["policyName"] == "SECONDLY"


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("429", 429, "TEN_SECONDLY_ROLLING"),
        ("rate_limit", 429, "DAILY"),
        ("expired_token", 401, "EXPIRED_AUTHENTICATION"),
        ("forbidden", 403, "crm.objects.deals.read"),
        ("503", 503, "INTERNAL_ERROR"),
    ],
)
def test_faults_speak_as_hubspot_does_and_leave_the_connection_usable(hubspot, sandbox, kind, status, says):
    sandbox.hubspot.faults.add(kind)
    answer = hubspot.session.post(f"{hubspot.base_url}/crm/v3/objects/deals/search", json={"limit": 1}, timeout=10)
    assert answer.status_code == status
    assert says in answer.text
    assert post(hubspot, "/crm/v3/objects/deals/search", {"limit": 1})["total"] > 0


def test_pipelines_hold_the_stages_that_deals_are_in(hubspot, crm):
    for kind, stage_of in (("deals", lambda each: each.stage), ("tickets", lambda each: each.stage)):
        (pipeline,) = hubspot.json(f"/crm/v3/pipelines/{kind}")["results"]
        assert {stage_of(each) for each in crm.records(kind).values()} <= {stage["id"] for stage in pipeline["stages"]}


def test_what_is_not_there_is_not_found(hubspot):
    for path in (
        "/crm/v3/objects/dragons",
        "/crm/v3/pipelines/contacts",
        "/nowhere",
        "/crm/v4/objects/x/1/associations/y",
    ):
        assert hubspot.get(path).status_code == 404
