"""HubSpot's recorded answers, replayed over HTTP through the connector, and the rows that come of them."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import pytest
from werkzeug import Request, Response

from portal.failures import TerminalError, TransientError
from sources.connectors import get_connector
from sources.connectors.base import Page, StreamRequest
from sources.connectors.hubspot_associations import tie_rows
from sources.connectors.hubspot_streams import OMIT, SPECS, asked_for, readable
from sources.connectors.shape import Shape

NOTHING = {"results": []}
VARIES = ("limit", "properties", "archived", "after")

pytestmark = pytest.mark.usefixtures("pauses")


def pages(base_url: str, name: str, since: Any = None) -> Any:
    settings = {"access_token": "pat-na1-recorded", "base_url": base_url}
    return get_connector("hubspot").read(settings, StreamRequest(name), since)


def rows_of(found: list[Page]) -> list[dict[str, Any]]:
    return [row for page in found for row in page.rows]


def quiet(httpserver: Any, kind: str) -> None:
    """What these recordings do not have: an account without properties of its own."""
    httpserver.expect_request(f"/crm/v3/properties/{kind}").respond_with_json(NOTHING)


def left(after: str = "") -> dict[str, Any]:
    """The cursor of a first read that has the archived ones behind it, as no recording has any."""
    known = {"updated": 0, "seen": {}, "archived": 0, "archived_seen": {}, "checked_at": time.time()}
    return {**known, "left": {"archived": False, "after": after}}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_a_page_of_contacts_becomes_rows(recording, httpserver):
    quiet(httpserver, "contacts")
    tape = recording("hubspot/recorded/contacts-v3-list-first-page.json", "a page of contacts becomes rows")
    reading = pages(tape.play(ignore=VARIES), "contacts", left())

    first = next(reading)

    theirs = tape.interactions[0]["response"]["body"]["results"]
    assert [row["id"] for row in first.rows] == [each["id"] for each in theirs]
    brian = first.rows[0]
    assert (brian["email"], brian["firstname"]) == ("bh@hubspot.com", "Brian")
    assert brian["created_at"] == at("2018-04-09T13:17:00.224Z")
    assert brian["updated_at"] == at("2022-07-08T03:16:44.972Z")
    assert (brian["archived"], brian["merged_into_id"], brian["_extra"]) == (False, None, None)
    assert first.rows[-1]["firstname"] is None  # HubSpot sent ""
    assert next(reading).cursor["left"] == {"archived": False, "after": "1452"}


def test_page_one_again_for_a_mark_hubspot_does_not_know_is_noticed(recording, httpserver):
    quiet(httpserver, "contacts")
    tape = recording("hubspot/recorded/contacts-v3-list-after.json", "an unknown after brings page one again: noticed")
    base_url = tape.play(ignore=VARIES)

    found: list[Page] = []
    with pytest.raises(TransientError, match="began its list of contacts anew"):
        found.extend(pages(base_url, "contacts", left(after="216670492303")))

    # where an earlier sync left off it only means reading again from the beginning
    resumed = next(pages(base_url, "contacts", left(after="216670492303")))
    assert resumed.rows[0]["id"] == "51"


def test_properties_that_were_asked_for_become_columns(recording, httpserver):
    quiet(httpserver, "contacts")
    tape = recording("hubspot/recorded/contacts-v3-list-properties.json", "properties asked for become columns")
    row = next(pages(tape.play(ignore=VARIES), "contacts", left())).rows[0]
    assert (row["id"], row["email"], row["firstname"]) == ("51854903509", "emailmaria@hubspot.com", "Maria")
    assert row["lastname"] is None


def test_the_properties_of_an_account_say_what_is_asked_for(recording, httpserver):
    tape = recording("hubspot/recorded/contact-properties-v3.json", "property definitions say what is asked for")
    listed = tape.interactions[0]["response"]["body"]["results"]
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.extend(request.args.get("properties", "").split(","))
        return Response(json.dumps(NOTHING), content_type="application/json")

    httpserver.expect_request("/crm/v3/objects/contacts").respond_with_handler(answer)
    list(pages(tape.play(), "contacts", left()))

    visible = {each["name"] for each in listed if not each["hidden"]}
    assert visible <= set(seen)
    assert "associatedcompanylastupdated" not in seen  # hidden: “meaningless on its own”
    assert set(seen) == set(asked_for("contacts", listed))


def test_contacts_that_a_search_finds_are_new(recording, httpserver):
    tape = recording("hubspot/recorded/contacts-v3-search.json", "contacts that a search finds are fetched")
    theirs = tape.interactions[0]["response"]["body"]["results"]
    fetched: list[str] = []

    def batch(request: Request) -> Response:
        asked = {each["id"] for each in request.get_json()["inputs"]}
        fetched.extend(sorted(asked))
        body = {"status": "COMPLETE", "results": [each for each in theirs if each["id"] in asked]}
        return Response(json.dumps(body), content_type="application/json")

    httpserver.expect_request("/crm/v3/objects/contacts/batch/read", method="POST").respond_with_handler(batch)
    httpserver.expect_request("/crm/v3/objects/contacts").respond_with_json(NOTHING)
    httpserver.expect_request("/crm/v3/properties/contacts").respond_with_json(NOTHING)
    known = {key: value for key, value in left().items() if key != "left"}
    known["seen"] = {theirs[0]["id"]: round(at(theirs[0]["updatedAt"]).timestamp() * 1000)}

    found = list(pages(tape.play(), "contacts", known))

    assert [row["id"] for row in rows_of(found)] == fetched == sorted(each["id"] for each in theirs[1:])
    newest = max(at(each["updatedAt"]) for each in theirs)
    assert found[-1].cursor["updated"] == round(newest.timestamp() * 1000)


def test_owners_become_rows(recording, httpserver):
    httpserver.expect_request("/crm/v3/owners", query_string={"archived": "true", "limit": "100"}).respond_with_json(
        NOTHING
    )
    tape = recording("hubspot/recorded/owners-v3.json", "owners become rows")
    rows = rows_of(list(pages(tape.play(), "owners")))
    assert [row["id"] for row in rows] == [each["id"] for each in tape.interactions[0]["response"]["body"]["results"]]
    assert (rows[0]["email"], rows[0]["user_id"]) == ("user-542bcea0@example.com", "2506672")
    assert rows[0]["updated_at"] == at("2018-04-09T13:16:56.625Z")


def test_a_missing_scope_is_named(recording, httpserver):
    tape = recording("hubspot/recorded/contact-403-missing-scopes.json", "403 MISSING_SCOPES names the scope")
    answer = tape.interactions[0]["response"]
    httpserver.expect_request("/crm/v3/objects/contacts/search", method="POST").respond_with_json(
        answer["body"], status=answer["status"], headers={"Cf-Cache-Status": "DYNAMIC"}
    )
    with pytest.raises(TerminalError) as caught:
        list(pages(httpserver.url_for(""), "contacts"))
    assert caught.value.kind == "forbidden"
    assert caught.value.sentence == (
        "The private app may not read contacts: it lacks the scope crm.objects.contacts.read. In HubSpot, open Settings "
        "› Integrations › Private Apps and edit the app, tick it and save."
    )


def test_ties_of_a_deal_become_rows(recording):
    tape = recording("hubspot/recorded/associations-v4.json", "associations (v4) become rows")
    answer = next(each for each in tape.interactions if "/crm/v4/" in each["request"]["url"])["response"]["body"]
    rows = list(tie_rows("deals", "9756350334", "contacts", answer["results"], None))
    assert [(row["from_id"], row["to_type"], row["to_id"], row["type_id"]) for row in rows] == [
        ("9756350334", "contacts", "21451", 3),
        ("9756350334", "contacts", "21501", 3),
    ]
    assert {row["category"] for row in rows} == {"HUBSPOT_DEFINED"}


def played(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    return Shape(SPECS[kind], omit=OMIT).row(readable(kind, item), merged_into_id=None)


def test_a_company_becomes_a_row(recording):
    tape = recording("hubspot/recorded/company-v3-get.json", "a company becomes a row")
    row = played("companies", tape.interactions[0]["response"]["body"])
    assert (row["id"], row["name"], row["domain"]) == ("22816780518", "ACME Example", "example.com")
    assert row["updated_at"] == at("2024-10-20T19:50:45.541Z")


def test_a_company_that_was_deleted_meanwhile_stays_with_a_mark(recording, httpserver):
    tape = recording("hubspot/recorded/company-v3-delete-then-404.json", "a company deleted between search and fetch")
    there = tape.interactions[1]["response"]["body"]
    assert tape.interactions[3]["response"]["status"] == 404
    changed = {"id": there["id"], "properties": {"hs_lastmodifieddate": there["updatedAt"]}}
    httpserver.expect_request("/crm/v3/objects/companies/search", method="POST").respond_with_json(
        {"total": 1, "results": [changed]}
    )
    errors = [{"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": [there["id"]]}}]
    gone = {**there, "archived": True, "archivedAt": "2024-10-20T19:50:48.000Z"}
    for archived, results in (("false", []), ("true", [gone])):
        body = {"status": "COMPLETE", "results": results, **({} if results else {"numErrors": 1, "errors": errors})}
        httpserver.expect_request(
            "/crm/v3/objects/companies/batch/read", method="POST", query_string={"archived": archived}
        ).respond_with_json(body, status=200 if results else 207)
    httpserver.expect_request("/crm/v3/properties/companies").respond_with_json(NOTHING)
    httpserver.expect_request("/crm/v3/objects/companies").respond_with_json({"results": [gone]})
    known = {key: value for key, value in left().items() if key != "left"}

    (row,) = rows_of(list(pages(httpserver.url_for(""), "companies", known)))

    assert (row["id"], row["name"], row["archived"]) == (there["id"], "ACME Test Company", True)
    assert row["archived_at"] == at("2024-10-20T19:50:48.000Z")


def test_a_ticket_becomes_a_row(recording):
    tape = recording("hubspot/recorded/ticket-v3-get-and-404.json", "a ticket becomes a row")
    row = played("tickets", tape.interactions[0]["response"]["body"])
    assert (row["id"], row["subject"], row["hs_ticket_priority"]) == ("16174569112", "test ticket", "HIGH")
    assert (row["hs_pipeline"], row["hs_pipeline_stage"], row["hubspot_owner_id"]) == ("0", "1", None)


@pytest.mark.parametrize("kind", ["contacts", "companies", "deals"])
def test_lists_of_a_real_account_become_rows(recording, kind):
    tape = recording(f"hubspot/crm-v3-{kind}.json", f"a list of {kind} becomes rows")
    items = tape.content["results"]
    rows = [played(kind, item) for item in items]
    assert [row["id"] for row in rows] == [item["id"] for item in items]
    if kind == "deals":
        assert [(row["amount"], row["dealstage"]) for row in rows] == [
            (500, "qualifiedtobuy"),
            (3233, "qualifiedtobuy"),
        ]
        assert all(row["closedate"] is None for row in rows)
