"""What Stripe once answered, in many versions of its API, read by the connector.

Only single objects were recorded, so they are put into Stripe's list envelope; rows must say what the objects say.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portal.failures import TerminalError
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest
from tests.recordings import FIXTURES
from tests.sandbox.specs import recordings

STREAMS = {
    "customer": "customers",
    "subscription": "subscriptions",
    "invoice": "invoices",
    "charge": "charges",
    "refund": "refunds",
    "price": "prices",
}
# Stream → (column, where the recorded object has it); every version has these.
SAID = {
    "customers": ("email", "currency", "balance", "delinquent"),
    "subscriptions": ("status", "cancel_at_period_end"),
    "invoices": ("status", "currency", "total", "amount_paid", "number"),
    "charges": ("status", "currency", "amount", "amount_refunded"),
    "refunds": ("status", "currency", "amount"),
    "prices": ("currency", "unit_amount", "active"),
}


def objects_in(body: Any) -> list[dict[str, Any]]:
    """Every object of a kind we read, also inside others."""
    if isinstance(body, list):
        return [found for each in body for found in objects_in(each)]
    if not isinstance(body, dict):
        return []
    inner = [found for value in body.values() for found in objects_in(value)]
    is_whole = body.get("object") in STREAMS and "id" in body and "created" in body
    return [body, *inner] if is_whole else inner


def good_answers(path: Path) -> list[Any]:
    interactions = json.loads(path.read_text())["interactions"]
    return [each["response"]["body"] for each in interactions if each["response"]["status"] == 200]


FILES = [
    path.name for path in sorted((FIXTURES / "stripe" / "recorded").glob("*.json")) if objects_in(good_answers(path))
]


def served(httpserver: Any, stream: str, objects: list[dict[str, Any]]) -> dict[str, str]:
    listed = {"object": "list", "url": f"/v1/{stream}", "has_more": False, "data": objects}
    httpserver.expect_request(f"/v1/{stream}").respond_with_json(listed)
    httpserver.expect_request("/v1/events").respond_with_json({"object": "list", "has_more": False, "data": []})
    return {"api_key": "sk_test_recorded", "base_url": httpserver.url_for("").rstrip("/")}


@pytest.mark.parametrize("file", FILES)
def test_every_recorded_object_becomes_a_row(recording, httpserver, file):
    recording(f"stripe/recorded/{file}", "every object in it becomes a row that says the same")
    answers = good_answers(FIXTURES / "stripe" / "recorded" / file)
    for stream in set(STREAMS.values()):
        objects = {found["id"]: found for found in objects_in(answers) if STREAMS[found["object"]] == stream}
        httpserver.clear()
        settings = served(httpserver, stream, list(objects.values()))

        pages = get_connector("stripe").read(settings, StreamRequest(stream), None)
        rows = {row["id"]: row for page in pages for row in page.rows if page.stream in ("", stream)}

        assert rows.keys() == objects.keys()
        for key, row in rows.items():
            assert row["created"] == datetime.fromtimestamp(objects[key]["created"], UTC)
            for column in SAID[stream]:
                if column in row and column in objects[key]:
                    assert row[column] == objects[key][column], (stream, key, column)


def test_a_missing_customer_is_told_as_deleted(recording, httpserver):
    recording("stripe/recorded/updating_a_stripe_card.json", "404 for an object: it is gone, not an error")
    answer = next(each for each in recordings("stripe") if each["response"]["status"] == 404)["response"]
    httpserver.expect_request("/v1/customers/cus_gone").respond_with_json(answer["body"], status=404)
    httpserver.expect_request("/v1/customers").respond_with_json({"has_more": False, "data": []})
    event = {"id": "evt_1", "created": 1_772_000_000, "type": "customer.updated"}
    event["data"] = {"object": {"id": "cus_gone", "object": "customer", "created": 1_700_000_000}}
    httpserver.expect_request("/v1/events").respond_with_json({"has_more": False, "data": [event]})
    settings = {"api_key": "sk_test_recorded", "base_url": httpserver.url_for("").rstrip("/")}
    since = {"event_at": 1_771_999_000, "seen": [], "checked_at": datetime.now(UTC).timestamp()}

    pages = get_connector("stripe").read(settings, StreamRequest("customers"), since)

    assert [(row["id"], row["is_deleted"]) for page in pages for row in page.rows] == [("cus_gone", True)]


def test_a_declined_request_is_a_sentence(recording, httpserver):
    tape = recording("stripe/recorded/stripe_handles_card_declined.json", "a 402 is refused with Stripe's own words")
    declined = next(each for each in tape.interactions if each["response"]["status"] == 402)["response"]
    httpserver.expect_request("/v1/events").respond_with_json(declined["body"], status=402)
    settings = {"api_key": "sk_test_recorded", "base_url": httpserver.url_for("").rstrip("/")}

    with pytest.raises(TerminalError) as failure:
        list(get_connector("stripe").read(settings, StreamRequest("customers"), None))

    assert "402" in failure.value.sentence
    assert declined["body"]["error"]["code"] in failure.value.detail
