"""Stripe: against the sandbox's real HTTP, which refuses what Stripe refuses, and against recorded answers."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portal.failures import TerminalError, TransientError
from sources.connectors import get_connector
from sources.connectors.base import GONE, StreamRequest
from sources.connectors.shape import Shape
from sources.connectors.stripe import _derived_part, _Reader
from sources.connectors.stripe_streams import LISTINGS, PARTS, STREAMS

RECORDED = Path(__file__).parents[2] / "fixtures" / "stripe" / "recorded"


def settings(sandbox: Any) -> dict[str, Any]:
    return {"api_key": sandbox.stripe.api_key, "base_url": sandbox.stripe.base_url}


def read(sandbox: Any, name: str, since: Any = None, *along: str) -> tuple[dict[str, list[dict[str, Any]]], Any]:
    """Rows by stream, and the cursor the read ends with."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    cursor = since
    for page in get_connector("stripe").read(settings(sandbox), StreamRequest(name, along=along), since):
        rows[page.stream or name] += page.rows
        cursor = cursor if page.cursor is None else page.cursor
    return rows, cursor


def test_importing_it_is_cheap():
    import subprocess
    import sys

    code = (
        "import sys; from sources.connectors import all_connectors; all_connectors();"
        "print(sorted({'dlt', 'pyarrow', 'duckdb', 'pandas', 'psycopg', 'adbc_driver_manager'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_check_names_every_missing_permission(sandbox):
    assert "test mode" in get_connector("stripe").check(settings(sandbox))
    sandbox.stripe.faults.add("forbidden", count=None, path="/v1/invoices")
    sandbox.stripe.faults.add("forbidden", count=None, path="/v1/events")

    with pytest.raises(TerminalError) as failure:
        get_connector("stripe").check(settings(sandbox))

    assert failure.value.kind == "forbidden"
    assert "not allowed to read: Invoices, Events." in failure.value.sentence


def test_a_wrong_key_is_said_in_words(sandbox):
    with pytest.raises(TerminalError) as failure:
        get_connector("stripe").check({**settings(sandbox), "api_key": "sk_test_0123456789abcdef"})
    assert failure.value.kind == "unauthorized"
    assert "did not accept the key" in failure.value.sentence
    assert "0123456789ab" not in failure.value.detail


def test_a_missing_permission_names_the_stream(sandbox):
    sandbox.stripe.faults.add("forbidden", count=None, path="/v1/invoices")
    with pytest.raises(TerminalError) as failure:
        read(sandbox, "invoices")
    assert "not allowed to read invoices" in failure.value.sentence
    assert "Read on “Invoices”" in failure.value.sentence


def test_every_invoice_line_arrives(sandbox):
    rows, _ = read(sandbox, "invoices", None, "invoice_lines")

    expected = {line.id for invoice in sandbox.company.ledger.invoices.values() for line in invoice.lines}
    assert {line["id"] for line in rows["invoice_lines"]} == expected
    assert len(rows["invoice_lines"]) == len(expected)
    assert len(rows["invoices"]) == len(sandbox.company.ledger.invoices)
    invoices = {invoice["id"]: invoice for invoice in rows["invoices"]}
    for line in rows["invoice_lines"]:
        invoice = invoices[line["invoice_id"]]
        assert line["customer_id"] == invoice["customer_id"]
        assert line["invoice_created"] == invoice["created"]
    for invoice in rows["invoices"]:
        lines = [line for line in rows["invoice_lines"] if line["invoice_id"] == invoice["id"]]
        assert sum(line["amount"] for line in lines) == invoice["subtotal"]


def test_lines_and_invoices_cost_the_same_requests_as_invoices(sandbox):
    read(sandbox, "invoices")
    alone = sandbox.stripe.count()
    sandbox.stripe.forget_requests()
    read(sandbox, "invoices", None, "invoice_lines")
    more_lines = sandbox.stripe.count("/lines")
    assert sandbox.stripe.count() == alone + more_lines


def test_nothing_new_brings_nothing(sandbox):
    for spec in STREAMS:
        if spec.comes_with:
            continue
        _, cursor = read(sandbox, spec.name)
        rows, again = read(sandbox, spec.name, cursor)
        assert not any(rows.values()), spec.name
        assert again["event_at"] == cursor["event_at"]


def test_new_and_changed_objects_arrive_as_they_are_now(sandbox):
    before, cursor = read(sandbox, "subscriptions", None, "subscription_items")
    known = {row["id"]: row for row in before["subscriptions"]}
    sandbox.advance(days=3)

    rows, _ = read(sandbox, "subscriptions", cursor, "subscription_items")

    everything, _ = read(sandbox, "subscriptions", None, "subscription_items")
    merged = known | {row["id"]: row for row in rows["subscriptions"]}
    assert merged == {row["id"]: row for row in everything["subscriptions"]}
    assert 0 < len(rows["subscriptions"]) < len(everything["subscriptions"])
    assert any(row["id"] not in known for row in rows["subscriptions"])
    touched = {row["id"] for row in rows["subscriptions"]}
    items = {row["id"]: row for row in before["subscription_items"] if row["subscription_id"] not in touched}
    items |= {row["id"]: row for row in rows["subscription_items"] if not row.get(GONE)}
    assert items == {row["id"]: row for row in everything["subscription_items"]}


def declared(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By id, without `_extra`: Stripe counts a customer's next invoice number there and tells nobody."""
    return {row["id"]: {name: value for name, value in row.items() if name != "_extra"} for row in rows}


@pytest.mark.parametrize("name", ["customers", "products", "prices", "coupons", "invoices", "charges", "refunds"])
def test_two_reads_make_the_same_table_as_one(sandbox, name):
    before, cursor = read(sandbox, name)
    sandbox.advance(days=2)

    rows, cursor = read(sandbox, name, cursor)

    everything, _ = read(sandbox, name)
    merged = declared(before[name]) | declared(rows[name])
    assert {key: row for key, row in merged.items() if not row.get("is_deleted")} == declared(everything[name])
    assert not any(read(sandbox, name, cursor)[0].values())


def test_what_waits_to_be_invoiced_arrives_and_stays_after_its_invoice(sandbox):
    before, cursor = read(sandbox, "invoice_items")
    items = sandbox.company.ledger.invoice_items
    assert {row["id"] for row in before["invoice_items"]} == set(items)
    waiting = [row for row in before["invoice_items"] if row["invoice_id"] is None]
    assert waiting
    row, item = waiting[0], items[waiting[0]["id"]]
    assert (row["created"], row["amount"], row["subscription_item_id"]) == (
        datetime.fromtimestamp(item.created, UTC), item.line.amount, item.line.item,
    )  # fmt: skip
    sandbox.advance(days=3)

    rows, _ = read(sandbox, "invoice_items", cursor)

    everything, _ = read(sandbox, "invoice_items")
    merged = declared(before["invoice_items"]) | declared(rows["invoice_items"])
    # Stripe tells nobody when an item comes onto an invoice: the line of the invoice does.
    told = {key: {**row, "invoice_id": None} for key, row in merged.items()}
    assert told == {key: {**row, "invoice_id": None} for key, row in declared(everything["invoice_items"]).items()}
    assert set(items) == set(merged)


def test_parts_alone_are_read_through_their_owners(sandbox):
    rows, _ = read(sandbox, "invoice_lines")
    together, _ = read(sandbox, "invoices", None, "invoice_lines")
    assert set(rows) == {"invoice_lines"}
    assert rows["invoice_lines"] == together["invoice_lines"]


def test_a_first_read_goes_on_where_it_broke_off(sandbox, pauses):
    sandbox.stripe.faults.add("500", count=None, after=3, path="/v1/charges")
    request = StreamRequest("charges")
    rows: list[dict[str, Any]] = []
    cursor = None
    with pytest.raises(TransientError):  # noqa: PT012 (what came before the failure counts)
        for page in get_connector("stripe").read(settings(sandbox), request, None):
            rows += page.rows
            cursor = page.cursor or cursor
    assert len(rows) == 300
    assert cursor["after"] == rows[-1]["id"]
    sandbox.stripe.faults.clear()

    rest, cursor = read(sandbox, "charges", cursor)

    ids = [row["id"] for row in rows + rest["charges"]]
    assert sorted(ids) == sorted(sandbox.company.ledger.charges)
    assert len(set(ids)) == len(ids)
    assert "after" not in cursor


def test_after_a_long_pause_everything_is_read_again(sandbox):
    _, cursor = read(sandbox, "coupons")
    old = {**cursor, "checked_at": time.time() - 30 * 86400}

    pages = list(get_connector("stripe").read(settings(sandbox), StreamRequest("coupons"), old))

    assert all(page.starts_over for page in pages)
    assert sum(len(page.rows) for page in pages) == len(read(sandbox, "coupons")[0]["coupons"])


@pytest.mark.parametrize("kind", ["429", "500", "reset", "truncate"])
def test_hiccups_heal_by_themselves(sandbox, pauses, kind):
    sandbox.stripe.faults.add(kind, count=2, after=1)
    rows, _ = read(sandbox, "customers")
    assert len(rows["customers"]) == len(sandbox.company.ledger.customers)
    assert sandbox.stripe.faults.waiting() == []
    assert len(pauses) == 2


def event(kind: str, item: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"id": f"evt_{number}", "type": kind, "created": 1_700_000_000 + number, "data": {"object": item}}


@pytest.fixture
def scripted(httpserver):
    """Stripe with hand-written answers: `scripted(events=[…], objects={path: body})` reads changes."""

    def run(name: str, along: tuple[str, ...], events: list[Any], objects: dict[str, Any]) -> dict[str, list[Any]]:
        httpserver.expect_request("/v1/events").respond_with_json({"data": events, "has_more": False})
        for path, body in objects.items():
            httpserver.expect_request(f"/v1/{path}").respond_with_json(body, status=200 if body else 404)
        httpserver.expect_request(f"/v1/{LISTINGS[name].path}").respond_with_json({"data": [], "has_more": False})
        since = {"event_at": 1_700_000_000, "seen": [], "checked_at": time.time()}
        rows: dict[str, list[Any]] = defaultdict(list)
        given = {"api_key": "sk_test_0123456789", "base_url": httpserver.url_for("/v1")}
        for page in get_connector("stripe").read(given, StreamRequest(name, along=along), since):
            rows[page.stream or name] += page.rows
        return rows

    return run


def test_a_deleted_customer_is_marked_and_keeps_its_values(scripted):
    customer = {"id": "cus_1", "object": "customer", "email": "a@example.com", "created": 1_600_000_000}
    rows = scripted("customers", (), [event("customer.deleted", customer)], {})
    (row,) = rows["customers"]
    assert (row["id"], row["email"], row["is_deleted"]) == ("cus_1", "a@example.com", True)


def test_an_object_that_vanished_meanwhile_counts_as_deleted(scripted):
    coupon = {"id": "half", "object": "coupon", "percent_off": 50, "created": 1_600_000_000}
    rows = scripted("coupons", (), [event("coupon.updated", coupon)], {"coupons/half": None})
    assert [(row["percent_off"], row["is_deleted"]) for row in rows["coupons"]] == [(50.0, True)]


def test_an_ended_subscription_is_not_deleted(scripted):
    ended = {
        "id": "sub_1",
        "status": "canceled",
        "created": 1_600_000_000,
        "items": {"data": [{"id": "si_1", "created": 1_600_000_000}], "has_more": False},
    }
    events = [event("customer.subscription.deleted", ended)]
    rows = scripted("subscriptions", ("subscription_items",), events, {"subscriptions/sub_1": ended})
    assert [row["status"] for row in rows["subscriptions"]] == ["canceled"]
    assert [row["id"] for row in rows["subscription_items"]] == ["si_1"]


def test_a_discount_changes_its_subscription(scripted):
    subscription = {
        "id": "sub_1",
        "created": 1_600_000_000,
        "discount": {"coupon": {"id": "half", "percent_off": 50.0, "duration": "forever"}, "start": 1_600_000_000},
        "items": {"data": [], "has_more": False},
    }
    discount = {"id": "di_1", "subscription": "sub_1"}
    events = [event("customer.discount.created", discount), event("customer.discount.created", {"id": "di_2"}, 2)]
    (row,) = scripted("subscriptions", (), events, {"subscriptions/sub_1": subscription})["subscriptions"]
    assert (row["discount_coupon_id"], row["discount_percent_off"], row["discount_duration"]) == ("half", 50, "forever")
    assert row["discount_start"] == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)


def test_an_object_that_changed_often_is_fetched_once(scripted, httpserver):
    customer = {"id": "cus_1", "created": 1_600_000_000, "email": "now@example.com"}
    events = [event("customer.updated", {**customer, "email": f"{n}@example.com"}, n) for n in range(9, 0, -1)]
    rows = scripted("customers", (), events, {"customers/cus_1": customer})
    assert [row["email"] for row in rows["customers"]] == ["now@example.com"]
    assert [request.path for request, _ in httpserver.log].count("/v1/customers/cus_1") == 1


def test_a_draft_without_lines_takes_its_old_lines_away(scripted):
    draft = {"id": "in_1", "created": 1_600_000_000, "status": "draft", "lines": {"data": [], "has_more": False}}
    events = [event("invoice.updated", draft), event("invoice.deleted", {**draft, "id": "in_2"}, 2)]
    rows = scripted("invoices", ("invoice_lines",), events, {"invoices/in_1": draft})
    assert {(row["invoice_id"], row[GONE]) for row in rows["invoice_lines"]} == {("in_1", True), ("in_2", True)}
    assert {(row["id"], row["is_deleted"]) for row in rows["invoices"]} == {("in_1", False), ("in_2", True)}


def test_items_beyond_the_first_ten_are_fetched(scripted, httpserver):
    items = [{"id": f"si_{n}", "created": 1_600_000_000} for n in range(12)]
    subscription = {"id": "sub_1", "created": 1_600_000_000, "items": {"data": items[:10], "has_more": True}}
    objects = {"subscriptions/sub_1": subscription, "subscription_items": {"data": items, "has_more": False}}
    events = [event("customer.subscription.updated", subscription)]
    rows = scripted("subscriptions", ("subscription_items",), events, objects)
    assert len(rows["subscription_items"]) == 12
    assert {row["subscription_id"] for row in rows["subscription_items"]} == {"sub_1"}


# Recorded answers --------------------------------------------------------------------------------------------------


def recorded(kind: str) -> list[dict[str, Any]]:
    """Every object of this kind that Stripe really sent, in whichever API version."""
    found: list[dict[str, Any]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("object") == kind and "created" in value | {"created": value.get("period")}:
                found.append(value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for path in sorted(RECORDED.glob("*.json")):
        walk([each["response"]["body"] for each in json.loads(path.read_text())["interactions"]])
    return found


@pytest.mark.parametrize(
    ("kind", "stream", "filled"),
    [
        ("customer", "customers", {"id", "created"}),
        (
            "subscription",
            "subscriptions",
            {"id", "customer_id", "status", "current_period_start", "current_period_end"},
        ),
        ("price", "prices", {"id", "product_id", "currency", "billing_scheme"}),
        ("charge", "charges", {"id", "status", "amount", "currency"}),
        ("refund", "refunds", {"id", "charge_id", "amount", "status"}),
        ("invoice", "invoices", {"id", "customer_id", "status", "total", "period_start"}),
    ],
)
def test_recorded_objects_become_whole_rows(kind, stream, filled):
    objects = recorded(kind)
    assert objects, kind
    listing = LISTINGS[stream]
    shape = Shape(listing.spec, omit=listing.omit)
    for item in objects:
        row = shape.row(item)
        assert set(row) == {column.name for column in listing.spec.columns}
        missing = {name for name in filled if row[name] is None}
        assert not missing, (item["id"], missing)


def test_recorded_invoices_give_whole_lines_in_old_and_new_shapes():
    shape = Shape(PARTS["invoice_lines"], omit=("object", "plan"))
    seen = 0
    for invoice in recorded("invoice"):
        for line in invoice["lines"]["data"]:
            row = shape.row(line, **_derived_part("invoice_lines", line, invoice))
            seen += 1
            assert row["invoice_id"] == invoice["id"]
            assert row["type"] in {"subscription", "invoiceitem"}
            assert row["price_id"]
            assert (row["subscription_id"] is not None) == (row["type"] == "subscription")
            assert row["period_start"] is not None
    assert seen


def test_an_unknown_stream_is_refused(sandbox):
    with pytest.raises(TerminalError, match="no stream called “nope”"):
        _Reader(None, StreamRequest("nope"))  # type: ignore[arg-type]
