"""How the Stripe door behaves: keys, pages, filters, expansion, errors."""

from __future__ import annotations

import pytest
import requests

from sandbox.billing.ledger import Ledger

pytestmark = pytest.mark.slow  # a company is simulated for it


def error(answer: requests.Response) -> dict:
    return answer.json()["error"]


def test_without_a_key_nothing_is_said(sandbox):
    answer = requests.get(f"{sandbox.stripe.base_url}/v1/customers", timeout=10)
    assert answer.status_code == 401
    assert "You did not provide an API key" in error(answer)["message"]


def test_a_wrong_key_is_refused_without_repeating_it(sandbox):
    key = "sk_test_" + "x" * 20 + "abcd"
    answer = requests.get(f"{sandbox.stripe.base_url}/v1/customers", auth=(key, ""), timeout=10)
    assert answer.status_code == 401
    assert error(answer)["type"] == "invalid_request_error"
    assert error(answer)["message"] == f"Invalid API Key provided: sk_test_{'*' * 20}abcd"


def test_an_expired_key_says_so(sandbox):
    key = sandbox.stripe.restrict("customers")
    sandbox.stripe.expire(key)
    answer = requests.get(f"{sandbox.stripe.base_url}/v1/customers", auth=(key, ""), timeout=10)
    assert (answer.status_code, error(answer)["code"]) == (401, "api_key_expired")


def test_a_restricted_key_reads_only_what_it_may(sandbox):
    key = sandbox.stripe.restrict("customers")
    allowed = requests.get(f"{sandbox.stripe.base_url}/v1/customers", auth=(key, ""), timeout=10)
    refused = requests.get(f"{sandbox.stripe.base_url}/v1/invoices", auth=(key, ""), timeout=10)
    assert allowed.status_code == 200
    assert refused.status_code == 403
    assert "rak_invoice_read" in error(refused)["message"]
    assert key not in error(refused)["message"]


def test_pages_cover_everything_once_newest_first(stripe, sandbox):
    found = stripe.all("/v1/invoices", limit=37)
    ledger = sandbox.company.ledger
    assert [invoice["id"] for invoice in found] == list(reversed(ledger.invoices))
    assert [i["created"] for i in found] == sorted((i["created"] for i in found), reverse=True)


def test_ending_before_goes_back(stripe):
    first = stripe.json("/v1/charges", limit=10)["data"]
    second = stripe.json("/v1/charges", limit=10, starting_after=first[-1]["id"])["data"]
    back = stripe.json("/v1/charges", limit=10, ending_before=second[0]["id"])
    assert back["data"] == first
    assert back["has_more"] is False


def test_created_bounds_are_respected(stripe):
    everything = stripe.all("/v1/invoices")
    middle = everything[len(everything) // 2]["created"]
    expected = {
        "created[gte]": [i["id"] for i in everything if i["created"] >= middle],
        "created[gt]": [i["id"] for i in everything if i["created"] > middle],
        "created[lte]": [i["id"] for i in everything if i["created"] <= middle],
        "created[lt]": [i["id"] for i in everything if i["created"] < middle],
        "created": [i["id"] for i in everything if i["created"] == middle],
    }
    for name, ids in expected.items():
        assert [i["id"] for i in stripe.all("/v1/invoices", **{name: middle})] == ids


def test_subscriptions_leave_out_the_canceled_unless_asked(stripe):
    usual = {s["status"] for s in stripe.all("/v1/subscriptions")}
    everything = {s["status"] for s in stripe.all("/v1/subscriptions", status="all")}
    assert "canceled" not in usual
    assert {"active", "canceled", "trialing", "paused"} <= everything
    assert {s["status"] for s in stripe.all("/v1/subscriptions", status="trialing")} == {"trialing"}


def test_lists_can_be_narrowed(stripe):
    charge = stripe.json("/v1/charges", limit=1)["data"][0]
    assert {c["customer"] for c in stripe.all("/v1/charges", customer=charge["customer"])} == {charge["customer"]}
    invoice = stripe.json(f"/v1/invoices/{charge['invoice']}")
    same = stripe.all("/v1/invoices", subscription=invoice["subscription"])
    assert {i["subscription"] for i in same} == {invoice["subscription"]}
    assert {e["type"] for e in stripe.all("/v1/events", type="invoice.paid")} == {"invoice.paid"}
    some = stripe.all("/v1/events", **{"types[]": ["invoice.paid", "customer.created"]})
    assert {e["type"] for e in some} == {"invoice.paid", "customer.created"}
    assert all(e["type"].startswith("charge.") for e in stripe.all("/v1/events", type="charge.*"))


def test_events_reach_thirty_days_back_and_show_the_object_as_it_was(stripe, sandbox):
    events = stripe.all("/v1/events")
    assert min(event["created"] for event in events) >= sandbox.now - 30 * 86400
    created = [e["data"]["object"] for e in events if e["type"] == "invoice.created"]
    assert {invoice["status"] for invoice in created} == {"draft"}
    paid = [e["data"]["object"] for e in events if e["type"] == "invoice.paid"]
    assert {invoice["status"] for invoice in paid} == {"paid"}


def test_long_invoices_show_ten_lines_and_say_where_the_rest_is(stripe, sandbox, monkeypatch):
    monkeypatch.setattr("sandbox.doors.stripe_invoices.INLINE_LINES", 1)
    ledger: Ledger = sandbox.company.ledger
    record = next(invoice for invoice in ledger.invoices.values() if len(invoice.lines) > 1)
    shown = stripe.json(f"/v1/invoices/{record.id}")["lines"]
    assert (len(shown["data"]), shown["has_more"], shown["total_count"]) == (1, True, len(record.lines))
    lines = stripe.all(shown["url"], limit=1)
    assert [line["id"] for line in lines] == [line.id for line in record.lines]


def test_ids_can_be_expanded(stripe):
    page = stripe.json("/v1/charges", limit=3, **{"expand[]": ["data.invoice.subscription", "data.customer"]})
    for charge in page["data"]:
        assert charge["customer"]["object"] == "customer"
        assert charge["invoice"]["subscription"]["object"] == "subscription"
    discounted = next(i for i in stripe.all("/v1/invoices") if i["discounts"])
    one = stripe.json(f"/v1/invoices/{discounted['id']}", **{"expand[]": ["lines.data.discount_amounts.discount"]})
    amounts = [amount for line in one["lines"]["data"] for amount in line["discount_amounts"]]
    assert amounts
    assert {amount["discount"]["coupon"]["object"] for amount in amounts} == {"coupon"}


def test_mistakes_are_refused_as_stripe_refuses_them(stripe):
    for params, code in (
        ({"limit": 101}, "parameter_invalid_integer"),
        ({"limit": "many"}, "parameter_invalid_integer"),
        ({"cursor": "x"}, "parameter_unknown"),
        ({"created[since]": 1}, "parameter_unknown"),
        ({"starting_after": "cus_unknown"}, "resource_missing"),
    ):
        answer = stripe.get("/v1/customers", params=params)
        assert answer.status_code == 400
        assert error(answer)["code"] == code
    too_deep = stripe.get("/v1/invoices", params={"expand[]": "data.lines.data.discount_amounts.discount"})
    assert too_deep.status_code == 400
    not_listed = stripe.get("/v1/charges", params={"expand[]": "invoice"})
    assert "data.invoice" in error(not_listed)["message"]
    assert stripe.get("/v1/subscription_items").status_code == 400
    unknown = stripe.get("/v1/horses")
    assert unknown.status_code == 404
    assert "Unrecognized request URL" in error(unknown)["message"]


def test_nothing_can_be_written(stripe):
    answer = stripe.session.post(f"{stripe.base_url}/v1/customers", timeout=10)
    assert answer.status_code == 404


def test_the_account_names_itself(stripe):
    assert stripe.json("/v1/account")["object"] == "account"
