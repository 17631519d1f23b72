"""HubSpot against the sandbox's real HTTP: everything once, then what changed, whatever goes wrong between."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import defaultdict
from typing import Any

import pytest

from portal.failures import TerminalError, TransientError
from sandbox import truth_sales
from sandbox.doors.hubspot import Window
from sandbox.doors.hubspot_objects import KINDS
from sources.connectors import get_connector, hubspot_client, hubspot_objects
from sources.connectors.base import GONE, ReachesBack, StreamRequest
from sources.connectors.hubspot_streams import STREAMS, asked_for, readable, stays

pytestmark = pytest.mark.slow

OBJECTS = tuple(KINDS)
DEAL_STREAMS = ("deals", "deal_stage_history")


@pytest.fixture
def door(sandbox, pauses):
    """As fast as the test reads; nobody sleeps."""
    hubspot_client._paces.cache_clear()
    door = sandbox.hubspot
    before = (door.burst, door.searches, door.most_results, door.search_lag)
    door.burst, door.searches = Window(None, 10.0), Window(None, 1.0)
    yield door
    door.burst, door.searches, door.most_results, door.search_lag = before


@pytest.fixture
def given(door):
    return {"access_token": door.access_token, "base_url": door.base_url}


@pytest.fixture
def sales(sandbox):
    return sandbox.company.sales


def read(given: dict[str, Any], name: str, since: Any = None, *along: str) -> tuple[dict[str, list[Any]], Any]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    cursor = since
    for page in get_connector("hubspot").read(given, StreamRequest(name, along=along), since):
        rows[page.stream or name] += page.rows
        cursor = cursor if page.cursor is None else page.cursor
    return rows, json.loads(json.dumps(cursor))


def keyed(rows: list[dict[str, Any]], *key: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """As a merge would keep them: of two rows with one key the one that came last."""
    return {tuple(row[name] for name in key): row for row in rows}


def merged(before: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return keyed(before, "id") | keyed(rows, "id")


def advance_until_something_happens_to(sandbox: Any, kind: str) -> None:
    """So small a company has weeks without a new deal or ticket."""
    before = sandbox.now
    records = sandbox.company.sales.crm.records(kind)
    for _ in range(30):
        sandbox.advance(days=10)
        if any(each.updated_at > before and each.archived_at is None for each in records.values()):
            return
    raise AssertionError(f"Nothing happened to {kind} in 300 days.")


# --- everything, and then what changed ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", OBJECTS)
def test_two_reads_make_the_same_table_as_one(sandbox, given, name):
    before, cursor = read(given, name)
    assert before[name]
    assert not any(read(given, name, cursor)[0].values())
    advance_until_something_happens_to(sandbox, name)

    rows, cursor = read(given, name, cursor)

    everything, _ = read(given, name)
    long_gone = set(keyed(before[name], "id")) - set(keyed(everything[name], "id"))
    together = {key: row for key, row in merged(before[name], rows[name]).items() if key not in long_gone}
    assert together == keyed(everything[name], "id")
    assert 0 < len(rows[name]) < len(everything[name])
    assert not any(read(given, name, cursor)[0].values())


def test_the_rows_are_the_companys_records(given, sales):
    deals = {row["id"]: row for row in read(given, "deals")[0]["deals"]}
    for deal in sales.crm.deals.values():
        row = deals.get(str(deal.id))
        if row is None:
            assert deal.archived_at is not None  # deleted more than 90 days ago
            continue
        assert (row["dealname"], row["dealstage"]) == (deal.name, deal.stage)
        assert row["amount"] * 100 == deal.amount
        assert row["hs_is_closed_won"] is (deal.stage == "closedwon")
        assert row["created_at"] == dt.datetime.fromtimestamp(deal.created_at, dt.UTC)
        assert row["hubspot_owner_id"] == str(deal.owner.id)
        assert row["archived"] is (deal.archived_at is not None)
        assert json.loads(row["_extra"])["properties"]["expected_seats"] == str(deal.seats)
    companies = {row["id"]: row for row in read(given, "companies")[0]["companies"]}
    for company in sales.crm.companies.values():
        if str(company.id) in companies and company.stripe_customer:
            extra = json.loads(companies[str(company.id)]["_extra"])["properties"]
            assert extra["stripe_customer_id"] == company.stripe_customer


def test_the_stage_history_is_the_true_one(sandbox, given):
    first, cursor = read(given, "deals", None, "deal_stage_history")
    history = keyed(first["deal_stage_history"], "deal_id", "position")
    sandbox.advance(days=9)
    second, _ = read(given, "deals", cursor, "deal_stage_history")
    touched = {row["deal_id"] for row in second["deal_stage_history"]}
    history = {key: row for key, row in history.items() if key[0] not in touched}
    history |= keyed([row for row in second["deal_stage_history"] if not row.get(GONE)], "deal_id", "position")

    told: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for (deal_id, position), row in sorted(history.items(), key=lambda item: (int(item[0][0]), item[0][1])):
        told[int(deal_id)].append((row["stage_id"], int(row["entered_at"].timestamp())))
        assert len(told[int(deal_id)]) == position
    truth = truth_sales.stage_history(sandbox.company)
    forgotten = set(truth) - set(told)
    deals = sandbox.company.sales.crm.deals
    assert all(deals[number].archived_at is not None for number in forgotten)
    assert dict(told) == {number: way for number, way in truth.items() if number not in forgotten}
    assert any(len(way) > 6 for way in told.values())


def test_a_stay_ends_where_the_next_begins(given):
    rows, _ = read(given, "deal_stage_history")
    assert set(rows) == {"deal_stage_history"}
    history = keyed(rows["deal_stage_history"], "deal_id", "position")
    for (deal_id, position), row in history.items():
        following = history.get((deal_id, position + 1))
        assert row["left_at"] == (following["entered_at"] if following else None)


def test_saving_the_same_stage_again_is_no_move():
    versions = [
        {"value": "b", "timestamp": "2026-03-03T00:00:00Z"},
        {"value": "a", "timestamp": "2026-03-02T00:00:00Z"},
        {"value": "a", "timestamp": "2026-03-01T00:00:00Z"},
    ]
    assert [(stay["value"], stay["position"], stay.get("left_at")) for stay in stays(versions)] == [
        ("a", 1, "2026-03-03T00:00:00Z"),
        ("b", 2, None),
    ]


def test_only_changed_deals_are_fetched_again(sandbox, given, door):
    _, cursor = read(given, "deals", None, "deal_stage_history")
    advance_until_something_happens_to(sandbox, "deals")
    door.forget_requests()
    rows, _ = read(given, "deals", cursor, "deal_stage_history")
    assert rows["deals"]
    assert door.count("/batch/read") == 1
    assert door.count("/search") == 1


def test_a_deleted_contact_stays_with_a_mark(sandbox, given, sales):
    before, cursor = read(given, "contacts")
    contact = next(each for each in sales.crm.contacts.values() if each.archived_at is None and not each.merged)
    contact.archived_at = sandbox.now
    rows, _ = read(given, "contacts", cursor)
    (row,) = rows["contacts"]
    assert (row["id"], row["archived"], row["email"]) == (str(contact.id), True, contact.email)
    assert row["archived_at"] == dt.datetime.fromtimestamp(sandbox.now, dt.UTC)
    assert keyed(before["contacts"], "id")[(row["id"],)]["archived"] is False


def test_a_merged_contact_points_to_the_one_that_stayed(sandbox, given, sales):
    sandbox.advance(hours=1)
    _, cursor = read(given, "contacts")
    kept, gone = [each for each in sales.crm.contacts.values() if each.archived_at is None][:2]
    sandbox.advance(hours=1)
    sales.crm.merge(kept, gone, sandbox.now)
    rows = keyed(read(given, "contacts", cursor)[0]["contacts"], "id")
    assert rows[(str(gone.id),)]["merged_into_id"] == str(kept.id)
    assert rows[(str(gone.id),)]["archived"] is True
    assert rows[(str(kept.id),)]["archived"] is False
    everything = keyed(read(given, "contacts")[0]["contacts"], "id")
    assert everything[(str(gone.id),)] == rows[(str(gone.id),)]


def test_a_change_that_the_search_learns_late_is_not_lost(sandbox, given, door, sales):
    read(given, "companies")
    sandbox.advance(hours=2)
    late, soon = [each for each in sales.crm.companies.values() if each.archived_at is None][:2]
    soon.updated_at, late.updated_at = sandbox.now, sandbox.now - 30
    known_late = late.name
    # the search does not know of the earlier change yet when it knows of the later one
    hidden, late.archived_at = late, sandbox.now
    _, cursor = read(given, "companies")
    hidden.archived_at = None
    hidden.name = "Renamed Works"
    rows = keyed(read(given, "companies", cursor)[0]["companies"], "id")
    assert rows[(str(hidden.id),)]["name"] == "Renamed Works"
    hidden.name = known_late


def test_a_lagging_search_only_delays(sandbox, given, door):
    first, cursor = read(given, "contacts")
    sandbox.advance(days=1)
    door.search_lag = 300
    second, cursor = read(given, "contacts", cursor)
    door.search_lag = 0
    third, _ = read(given, "contacts", cursor)
    everything = keyed(read(given, "contacts")[0]["contacts"], "id")
    together = merged(first["contacts"] + second["contacts"], third["contacts"])
    assert {key: row for key, row in together.items() if key in everything} == everything


# --- many -------------------------------------------------------------------------------------------------------------------
def test_more_changes_in_one_moment_than_a_search_can_page_through(sandbox, given, door, sales):
    _, cursor = read(given, "contacts")
    door.most_results = 400
    sandbox.advance(hours=1)
    imported = {str(contact.id) for contact in sales.import_list(1_150)}
    moment = sandbox.now
    sandbox.advance(hours=3)
    later = next(each for each in sales.crm.contacts.values() if str(each.id) not in imported and not each.archived_at)
    later.updated_at = sandbox.now
    door.forget_requests()

    rows, cursor = read(given, "contacts", cursor)

    found = [row["id"] for row in rows["contacts"] if row["id"] in imported]
    assert len(found) == len(imported) == len(set(found))
    assert all(row["updated_at"].timestamp() == moment for row in rows["contacts"] if row["id"] in imported)
    assert str(later.id) in {row["id"] for row in rows["contacts"]}
    assert all(seen.status == 200 for seen in door.requests)
    assert door.count("/search") < 15
    assert not any(read(given, "contacts", cursor)[0].values())
    _forget(sales, imported)


def test_more_changes_than_a_search_can_page_through(sandbox, given, door, sales):
    _, cursor = read(given, "contacts")
    door.most_results = 200
    sandbox.advance(hours=1)
    imported = sales.import_list(900)
    for number, contact in enumerate(imported):
        contact.updated_at = sandbox.now - 3000 + number // 7 * 20
    rows, _ = read(given, "contacts", cursor)
    wanted = {str(contact.id) for contact in imported}
    found = [row["id"] for row in rows["contacts"] if row["id"] in wanted]
    assert sorted(found) == sorted(wanted)
    _forget(sales, wanted)


@pytest.mark.slow
def test_twelve_thousand_changes_in_one_millisecond(sandbox, given, door, sales):
    _, cursor = read(given, "contacts")
    sandbox.advance(hours=1)
    imported = {str(contact.id) for contact in sales.import_list(12_000)}
    rows, _ = read(given, "contacts", cursor)
    assert len(imported) == 12_000
    assert imported <= {row["id"] for row in rows["contacts"]}
    assert all(seen.status == 200 for seen in door.requests)
    _forget(sales, imported)


def _forget(sales: Any, ids: set[str]) -> None:
    """The world is shared: take away what a test put into it."""
    for each in ids:
        sales.crm.contacts.pop(int(each), None)


# --- the rest -----------------------------------------------------------------------------------------------------------------
def test_owners_are_all_there_those_who_left_too(given, sales):
    rows = keyed(read(given, "owners")[0]["owners"], "id")
    assert {(row["id"], row["email"], row["archived"]) for row in rows.values()} == {
        (str(owner.id), owner.email, owner.archived) for owner in sales.crm.owners.values()
    }
    assert all(row["user_id"] for row in rows.values())


def test_pipelines_bring_their_stages(given):
    rows, _ = read(given, "pipelines", None, "pipeline_stages")
    assert {(row["object_type"], row["id"]) for row in rows["pipelines"]} == {("deals", "default"), ("tickets", "0")}
    stages = keyed(rows["pipeline_stages"], "object_type", "id")
    assert stages["deals", "closedwon"]["probability"] == 1
    assert stages["deals", "closedwon"]["is_closed"] is True
    assert stages["tickets", "1"]["is_closed"] is False
    assert read(given, "pipeline_stages")[0]["pipeline_stages"] == rows["pipeline_stages"]


def test_associations_are_those_of_the_records(given, sales):
    rows, _ = read(given, "associations")
    found = keyed(rows["associations"], "from_type", "from_id", "to_type", "to_id", "category", "type_id")
    assert len(found) == len(rows["associations"])
    ties = {(row["from_type"], row["from_id"], row["to_type"], row["to_id"]) for row in found.values()}
    true = {
        (kind, str(record.id), target, str(other.id))
        for kind, targets in (
            ("contacts", ["companies"]),
            ("deals", ["companies", "contacts"]),
            ("tickets", ["companies", "contacts", "deals"]),
        )
        for record in sales.crm.records(kind).values()
        if record.archived_at is None
        for target in targets
        for other in sales.crm.associated(record, target)
    }
    assert ties == true
    assert {row["label"] for row in found.values()} == {None, "Primary"}


def test_ties_of_changed_records_are_read_again_and_all_of_them_once_a_day(sandbox, given, sales):
    owner = ("from_type", "from_id", "to_type")
    first, cursor = read(given, "associations")
    assert not any(read(given, "associations", cursor)[0].values())
    sandbox.advance(days=3)
    deal = next(
        d for d in sales.crm.deals.values() if d.contacts and not d.archived_at and not d.contacts[0].archived_at
    )
    deal.contacts, deal.updated_at, before = [], sandbox.now, deal.contacts
    rows, cursor = read(given, "associations", cursor)
    everything, _ = read(given, "associations")
    deal.contacts = before

    assert ("deals", str(deal.id), "contacts") in {
        tuple(r[k] for k in owner) for r in rows["associations"] if r.get(GONE)
    }
    touched = {tuple(row[name] for name in owner) for row in rows["associations"]}
    kept = [row for row in first["associations"] if tuple(row[name] for name in owner) not in touched]
    together = kept + [row for row in rows["associations"] if not row.get(GONE)]
    key = (*owner, "to_id", "type_id")
    gone = {str(each.id) for kind in OBJECTS for each in sales.crm.records(kind).values() if each.archived_at}
    gone |= {str(former) for former in sales.crm.merged_into}
    alive = {k for k in keyed(together, *key) if not {k[1], k[3]} & gone}
    assert alive == set(keyed(everything["associations"], *key))
    assert len(rows["associations"]) < len(first["associations"]) / 2

    cursor["whole_at"] -= 90_000
    pages = list(get_connector("hubspot").read(given, StreamRequest("associations"), cursor))
    assert all(page.starts_over for page in pages)


def test_what_changed_since_a_day_can_be_read_again(sandbox, given, sales):
    connector = get_connector("hubspot")
    assert isinstance(connector, ReachesBack)
    moment = dt.datetime.fromtimestamp(sandbox.now - 30 * 86_400, dt.UTC)
    _, cursor = read(given, "companies")
    again, after = read(given, "companies", connector.cursor_from(StreamRequest("companies"), moment, cursor))
    changed = {
        str(c.id) for c in sales.crm.companies.values() if c.updated_at >= moment.timestamp() and not c.archived_at
    }
    assert changed
    assert changed <= {row["id"] for row in again["companies"]}
    assert after["updated"] == cursor["updated"]
    assert connector.cursor_from(StreamRequest("deals"), moment, {**cursor, "left": {"archived": False}}) is None
    _, ties = read(given, "associations")
    back = connector.cursor_from(StreamRequest("associations"), moment, ties)
    assert read(given, "associations", back)[0]["associations"]


def test_many_associations_of_one_object_are_turned_page_by_page(httpserver, pauses):
    types = [{"category": "HUBSPOT_DEFINED", "typeId": 341, "label": None}]
    for kind in ("contacts", "tickets"):
        httpserver.expect_request(f"/crm/v3/objects/{kind}").respond_with_json({"results": []})
    for kind in ("contacts", "tickets", "deals"):
        httpserver.expect_request(f"/crm/v3/objects/{kind}/search").respond_with_json({"total": 0, "results": []})
    deal = {"id": "7", "updatedAt": "2026-01-01T00:00:00Z"}
    httpserver.expect_request("/crm/v3/objects/deals").respond_with_json({"results": [deal]})
    more = {"paging": {"next": {"after": "500"}}}
    for target in ("companies", "contacts"):
        first = {"from": {"id": "7"}, "to": [{"toObjectId": 1, "associationTypes": types}], **more}
        httpserver.expect_request(f"/crm/v4/associations/deals/{target}/batch/read").respond_with_json(
            {"status": "COMPLETE", "results": [first]}
        )
        httpserver.expect_request(
            f"/crm/v4/objects/deals/7/associations/{target}", query_string={"limit": "500", "after": "500"}
        ).respond_with_json({"results": [{"toObjectId": 2, "associationTypes": types}]})
    rows, _ = read({"access_token": "pat-x", "base_url": httpserver.url_for("")}, "associations")
    assert [(row["to_type"], row["to_id"]) for row in rows["associations"]] == [
        ("companies", "1"),
        ("companies", "2"),
        ("contacts", "1"),
        ("contacts", "2"),
    ]


# --- properties ---------------------------------------------------------------------------------------------------------------
def test_hidden_and_sensitive_properties_are_not_asked_for():
    definitions = [
        {"name": "shoe_size", "hidden": False},
        {"name": "hs_internal", "hidden": True},
        {"name": "diagnosis", "dataSensitivity": "highly_sensitive"},
    ]
    names = asked_for("contacts", definitions)
    assert "shoe_size" in names
    assert not {"hs_internal", "diagnosis"} & set(names)
    assert {"email", "hs_merged_object_ids", "hubspot_owner_id"} <= set(names)


def test_properties_without_names_are_refused_rather_than_left_out():
    with pytest.raises(TerminalError, match="in a way that we do not know"):
        asked_for("contacts", [{"name": "shoe_size"}, {"name_v2": "hat_size"}])


def test_more_properties_than_an_address_can_hold_are_asked_for_in_a_body(given, door, monkeypatch):
    plain = read(given, "deals", None, "deal_stage_history")[0]
    monkeypatch.setattr(hubspot_objects, "LONGEST_QUERY", 10)
    door.forget_requests()
    assert read(given, "deals", None, "deal_stage_history")[0] == plain
    assert door.count("/batch/read")
    assert not any("properties" in seen.query for seen in door.requests)


def test_text_becomes_typed_and_nothing_stays_nothing():
    sent = {"hs_is_closed": "true", "closedate": "1659970124176", "amount": "", "dealname": None, "own": "x"}
    found = readable("deals", {"id": "1", "properties": sent})["properties"]
    assert found == {
        "hs_is_closed": True,
        "closedate": dt.datetime(2022, 8, 8, 14, 48, 44, 176000, dt.UTC),
        "own": "x",
    }
    assert readable("companies", {"properties": {"numberofemployees": "12.0"}})["properties"] == {
        "numberofemployees": 12
    }


def test_a_value_that_does_not_fit_is_refused(given, door, monkeypatch, sales):
    company = next(each for each in sales.crm.companies.values() if each.archived_at is None)
    monkeypatch.setattr(company, "employees", "about ten")
    with pytest.raises(TerminalError, match="“numberofemployees” that is not a bigint"):
        read(given, "companies")


# --- when it goes wrong -------------------------------------------------------------------------------------------------------
def test_a_first_read_goes_on_where_it_broke_off(given, door, monkeypatch):
    monkeypatch.setattr(hubspot_objects, "WITH_HISTORY", 10)  # a small company has few pages
    door.faults.add("500", count=None, after=4, path="/objects/deals")
    rows, cursor = [], None
    pages = get_connector("hubspot").read(given, StreamRequest("deals", along=("deal_stage_history",)), None)
    with pytest.raises(TransientError):  # noqa: PT012 (what came before the failure counts)
        for page in pages:
            rows += page.rows if page.stream == "deals" else []
            cursor = page.cursor or cursor
    assert cursor["left"]
    door.faults.clear()

    rest, after = read(given, "deals", cursor, "deal_stage_history")

    everything, _ = read(given, "deals")
    assert merged(rows, rest["deals"]) == keyed(everything["deals"], "id")
    assert "left" not in after
    assert not any(read(given, "deals", after)[0].values())


def test_a_read_of_changes_goes_on_where_it_broke_off(sandbox, given, door, sales):
    _, known = read(given, "contacts")
    sandbox.advance(hours=1)
    imported = {str(contact.id) for contact in sales.import_list(450)}
    door.faults.add("500", count=None, after=4, path="/contacts/batch/read")
    rows, cursor = [], known
    with pytest.raises(TransientError):  # noqa: PT012 (what came before the failure counts)
        for page in get_connector("hubspot").read(given, StreamRequest("contacts"), known):
            rows += page.rows
            cursor = page.cursor or cursor
    assert rows
    assert cursor != known
    door.faults.clear()
    rest, _ = read(given, "contacts", cursor)
    assert imported <= {row["id"] for row in rows + rest["contacts"]}
    assert len(rest["contacts"]) < 450
    _forget(sales, imported)


@pytest.mark.parametrize("fault", ["reset", "truncate", "503", "429"])
@pytest.mark.parametrize("path", ["/search", "/properties", "/objects/deals"])
def test_what_passes_by_itself_costs_nothing(given, door, fault, path):
    plain = read(given, "deals", None, "deal_stage_history")
    door.faults.add(fault, count=2, path=path)
    again = read(given, "deals", None, "deal_stage_history")
    assert again[0] == plain[0]
    assert not door.faults.waiting()


def test_a_storm_of_refusals_is_waited_out_and_then_put_off(given, door, pauses):
    door.faults.add("429", count=5, retry_after=3)
    read(given, "owners")
    assert len([pause for pause in pauses if pause >= 3]) == 5
    door.faults.add("429", count=None)
    with pytest.raises(TransientError) as caught:
        read(given, "owners")
    assert caught.value.kind == "rate_limited"


def test_searches_of_one_second_wait_for_each_other(given, pauses):
    client = hubspot_client.client_of(given)
    with client:
        for _ in range(hubspot_client.SEARCH_PACE.calls + 1):
            client.search("deals", {"limit": 1}, forbidden="")
    assert len(pauses) == 1
    assert 0 < pauses[0] <= 1


def test_the_streams_of_one_app_share_its_limit(given):
    clients = [hubspot_client.client_of(given) for _ in range(2)]
    assert clients[0].paces[0] is clients[1].paces[0]
    assert hubspot_client.client_of({**given, "access_token": "pat-na1-other"}).paces[0] is not clients[0].paces[0]


def test_the_daily_limit_is_said_and_not_waited_for(given, door, pauses):
    door.faults.add("rate_limit", count=None)
    with pytest.raises(TransientError) as caught:
        read(given, "contacts")
    assert caught.value.sentence.startswith("Today's requests to HubSpot are used up")
    assert caught.value.retry_after == 3600
    assert not pauses


def test_a_token_that_ran_out_is_said_without_showing_it(given, door):
    token = door.restrict("tickets")
    door.expire(token)
    with pytest.raises(TerminalError) as caught:
        read({**given, "access_token": token}, "tickets")
    assert caught.value.kind == "unauthorized"
    assert caught.value.sentence.startswith("HubSpot did not accept the access token")
    assert token not in caught.value.sentence + caught.value.detail


@pytest.mark.parametrize(
    ("stream", "scope"),
    [
        ("contacts", "crm.objects.contacts.read"),
        ("companies", "crm.objects.companies.read"),
        ("deals", "crm.objects.deals.read"),
        ("deal_stage_history", "crm.objects.deals.read"),
        ("tickets", "tickets"),
        ("owners", "crm.objects.owners.read"),
        ("pipelines", "crm.objects.deals.read"),
        ("associations", "crm.objects.contacts.read"),
    ],
)
def test_a_missing_scope_is_named(given, door, stream, scope):
    with pytest.raises(TerminalError) as caught:
        read({**given, "access_token": door.restrict("crm.objects.none")}, stream)
    assert caught.value.kind == "forbidden"
    assert f"it lacks the scope {scope}. In HubSpot, open Settings" in caught.value.sentence


def test_another_scope_than_expected_is_named_as_hubspot_names_it(httpserver):
    said = {
        "status": "error",
        "category": "MISSING_SCOPES",
        "errors": [{"context": {"requiredGranularScopes": ["crm.schemas.contacts.read"]}}],
    }
    httpserver.expect_request("/crm/v3/owners").respond_with_json(said, status=403)
    with pytest.raises(TerminalError, match=r"lacks the scope crm\.schemas\.contacts\.read"):
        read({"access_token": "pat-x", "base_url": httpserver.url_for("")}, "owners")


def test_another_refusal_is_told_in_hubspots_words(httpserver):
    said = {"status": "error", "message": "This account has no access to owners.", "category": "BANNED"}
    httpserver.expect_request("/crm/v3/owners").respond_with_json(said, status=403)
    with pytest.raises(TerminalError) as caught:
        read({"access_token": "pat-x", "base_url": httpserver.url_for("")}, "owners")
    assert caught.value.sentence == (
        "HubSpot does not let the private app read this: This account has no access to owners."
    )


def test_a_batch_that_went_wrong_in_part_is_no_success(httpserver, given, door, sandbox):
    _, cursor = read(given, "tickets")
    changed = {"id": "9", "properties": {"hs_lastmodifieddate": "2030-01-01T00:00:00Z"}}
    httpserver.expect_request("/crm/v3/objects/tickets/search").respond_with_json({"total": 1, "results": [changed]})
    httpserver.expect_request("/crm/v3/properties/tickets").respond_with_json({"results": []})
    httpserver.expect_request("/crm/v3/objects/tickets/batch/read").respond_with_json(
        {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [{"category": "INTERNAL_ERROR"}]}, status=207
    )
    with pytest.raises(TransientError, match="only a part"):
        read({"access_token": "pat-x", "base_url": httpserver.url_for("")}, "tickets", cursor)


def test_after_a_long_pause_everything_is_read_again(given, monkeypatch):
    first, cursor = read(given, "contacts")
    cursor["checked_at"] = time.time() - hubspot_objects.ARCHIVED_REACH - 1
    pages = list(get_connector("hubspot").read(given, StreamRequest("contacts"), cursor))
    assert all(page.starts_over for page in pages)
    assert sum(len(page.rows) for page in pages) == len(first["contacts"])


# --- check --------------------------------------------------------------------------------------------------------------------
def test_check_says_which_account(given):
    assert get_connector("hubspot").check(given) == (
        "Connected to HubSpot account 24150917. The private app may read everything that is needed."
    )


def test_check_names_every_missing_scope(given, door):
    token = door.restrict("crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.owners.read")
    with pytest.raises(TerminalError) as caught:
        get_connector("hubspot").check({**given, "access_token": token})
    assert "lacks the scopes: crm.objects.deals.read, tickets." in caught.value.sentence
    assert "24150917" in caught.value.sentence


def test_without_a_token_nothing_is_asked(given):
    with pytest.raises(TerminalError, match="no access token yet"):
        get_connector("hubspot").check({**given, "access_token": " "})
    with pytest.raises(TerminalError, match="no stream called “dragons”"):
        read(given, "dragons")


def test_every_stream_names_its_scope():
    assert all(spec.permission for spec in STREAMS)
    scopes = {scope for spec in STREAMS for scope in spec.permission.split(", ")}
    assert scopes == set(get_connector("hubspot").permissions)
