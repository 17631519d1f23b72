"""Stripe's connector against localstripe, a server that other people wrote after Stripe's API of 2017.

It knows no prices, no `types[]` of events and no expanded discounts; these two ways to ask are put in for it, so that
everything else is its own answer.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from portal.failures import TerminalError
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest

pytestmark = pytest.mark.slow

KEY = "sk_test_12345"
SERVER = """
import sys
from aiohttp import web
from localstripe import resources
from localstripe.resources import Event, StripeObject, store
from localstripe.server import app

store.dump_to_disk = lambda: None
plain_list, plain_export = Event._api_list_all.__func__, StripeObject._export

def list_events(cls, url, types=None, **kwargs):
    found = plain_list(cls, url, **kwargs)
    found._list = [event for event in found._list if not types or event.type in types]
    return found

def export(self, expand=None):
    return plain_export(self, expand=[each for each in expand or [] if "discounts" not in each] or None)

Event._api_list_all = classmethod(list_events)
StripeObject._export = export
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, "localstripe did not start"
                assert time.monotonic() < deadline, "localstripe does not answer"
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def post(base_url: str, path: str, **data: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{base_url}/v1/{path}", urllib.parse.urlencode(data).encode(), {"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def made(base_url: str) -> dict[str, dict[str, Any]]:
    """A customer with a card, three seats at $25 and half off for three months; one charge given back."""
    product = post(base_url, "products", name="Team", type="service")
    post(base_url, "plans", id="team", amount=2500, currency="usd", interval="month", product=product["id"])
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2031, "cvc": "123"}
    token = post(base_url, "tokens", **{f"card[{name}]": value for name, value in card.items()})
    customer = post(base_url, "customers", email="ada@example.com", name="Ada", source=token["id"])
    coupon = post(base_url, "coupons", id="HALF", percent_off=50, duration="repeating", duration_in_months=3)
    subscription = post(
        base_url, "subscriptions", customer=customer["id"], **{"items[0][plan]": "team", "items[0][quantity]": 3}
    )
    charge = post(base_url, "charges", amount=900, currency="usd", customer=customer["id"])
    refund = post(base_url, "refunds", charge=charge["id"], amount=400)
    return {
        "products": product,
        "customers": customer,
        "coupons": coupon,
        "subscriptions": subscription,
        "charges": charge,
        "refunds": refund,
    }


def read(base_url: str, name: str, *along: str) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    settings = {"api_key": KEY, "base_url": base_url}
    for page in get_connector("stripe").read(settings, StreamRequest(name, along=along), None):
        rows[page.stream or name] += page.rows
    return rows


@pytest.mark.parametrize("name", ["products", "customers", "coupons", "subscriptions", "charges", "refunds"])
def test_what_was_made_is_read(base_url: str, made: dict[str, dict[str, Any]], name: str) -> None:
    rows = {row["id"]: row for row in read(base_url, name)[name]}

    assert made[name]["id"] in rows
    assert int(rows[made[name]["id"]]["created"].timestamp()) == made[name]["created"]


def test_an_item_an_invoice_and_its_line_say_what_was_sold(base_url: str, made: dict[str, dict[str, Any]]) -> None:
    subscription = made["subscriptions"]["id"]
    (item,) = read(base_url, "subscriptions", "subscription_items")["subscription_items"]
    billed = read(base_url, "invoices", "invoice_lines")
    (invoice,), (line,) = billed["invoices"], billed["invoice_lines"]

    assert (item["subscription_id"], item["price_id"], item["quantity"], item["unit_amount"]) == (
        subscription,
        "team",
        3,
        2500,
    )
    assert (invoice["subscription_id"], invoice["status"], invoice["total"]) == (subscription, "paid", 7500)
    assert (line["invoice_id"], line["amount"], line["quantity"], line["recurring_interval"]) == (
        invoice["id"],
        7500,
        3,
        "month",
    )


def test_a_refund_knows_its_charge(base_url: str, made: dict[str, dict[str, Any]]) -> None:
    (refund,) = read(base_url, "refunds")["refunds"]
    charges = {row["id"]: row for row in read(base_url, "charges")["charges"]}

    assert (refund["charge_id"], refund["amount"]) == (made["charges"]["id"], 400)
    assert charges[made["charges"]["id"]]["amount_refunded"] == 400


def test_what_it_does_not_know_is_said(base_url: str, made: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(TerminalError, match="does not know what we asked for"):
        read(base_url, "prices")
