"""Stripe over its REST API.

First read: every object, newest first; what is created meanwhile is told by events afterwards. After that: new objects
by `created`, changed ones by `/v1/events`, each changed object fetched once as it is now. Events reach back 30 days, so
after a longer pause everything is read again.

The cursor: {"event_at": the newest event or object seen (Stripe's clock), "seen": events in the overlap that are done,
"checked_at": when (our clock)}; while a first read is under way also {"after": the last object handed out}. For a
backfill {"created_from": when (Stripe's clock)} is added; it is not kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from portal.failures import TerminalError
from portal.redact import secrets_hidden
from sources.connectors.base import GONE, FieldKind, FormField, Page, RateLimit, StreamRequest, StreamSpec
from sources.connectors.http import Answer, ApiClient
from sources.connectors.shape import Shape
from sources.connectors.stripe_streams import LISTINGS, PARTS, STREAMS, Listing

# The shapes this connector reads; Stripe keeps serving them whatever the account's own version is.
VERSION = "2023-08-16"
PAGE = 100  # Stripe's largest
OVERLAP = 600  # seconds: an event may become visible a little after its time
SEEN_AT_MOST = 500
EVENTS_REACH = 29 * 86400  # seconds; Stripe keeps events for 30 days
CHECK_TRIES = 2

NOT_DELETIONS = ("customer.subscription.", "customer.discount.")  # "deleted" means "ended" here

KEY_HELP = (
    "A restricted key begins with rk_live_ (rk_test_ in test mode) and needs no more than read access. "
    "It is stored encrypted and never shown again."
)


class StripeConnector:
    name = "stripe"
    label = "Stripe"
    summary = "Customers, subscriptions, invoices and payments from your Stripe account."
    fields = (
        FormField("api_key", "Secret key", KEY_HELP, FieldKind.SECRET, placeholder="rk_live_…"),
        FormField(
            "base_url",
            "API base URL",
            "Leave this as it is, unless your company reaches Stripe through a proxy.",
            FieldKind.URL,
            required=False,
            default="https://api.stripe.com",
            is_advanced=True,
        ),
    )
    permissions = (
        "Customers: Read",
        "Products: Read",
        "Prices: Read",
        "Coupons: Read",
        "Subscriptions: Read",
        "Invoices: Read",
        "Charges and Refunds: Read",
        "Events: Read",
    )
    setup_help = (
        "In Stripe, open Developers › API keys and press “Create restricted key”. Give it Read on Customers, Products, "
        "Prices, Coupons, Subscriptions, Invoices, Charges and Refunds, and Events (that is how we hear of changes); "
        "leave everything else on None. Copy the key and paste it here."
    )
    rate_limits = (RateLimit(100, 1.0, "read requests of a live account; 25 a second in test mode"),)
    streams: tuple[StreamSpec, ...] = STREAMS
    reads_back = "everything created"

    def check(self, settings: Mapping[str, Any]) -> str:
        with secrets_hidden([settings.get("api_key", "")]), self._client(settings, tries=CHECK_TRIES) as client:
            missing: dict[str, str] = {}
            for resource, path in (*((item.resource, item.path) for item in LISTINGS.values()), ("Events", "events")):
                try:
                    client.get(f"v1/{path}", {"limit": 1})
                except TerminalError as error:
                    if error.kind != "forbidden":
                        raise
                    missing[resource] = error.detail
            if missing:
                raise TerminalError(
                    f"The key works, but it is not allowed to read: {', '.join(missing)}. In Stripe, open "
                    "Developers › API keys, edit the key and give it Read on these.",
                    "\n".join(missing.values()),
                    kind="forbidden",
                )
        mode = " (test mode)" if "_test_" in settings["api_key"] else ""
        return f"Connected to Stripe{mode}. The key may read everything that is needed."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return list(STREAMS)

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        with secrets_hidden([settings.get("api_key", "")]), self._client(settings) as client:
            yield from _Reader(client, stream).pages(since)

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        # Stripe lists by creation only. While a first read is under way, that one brings everything.
        return None if since.get("after") else {**since, "created_from": int(moment.timestamp())}

    def _client(self, settings: Mapping[str, Any], **options: Any) -> ApiClient:
        key = str(settings.get("api_key") or "").strip()
        if not key:
            raise TerminalError("The Stripe source has no secret key yet. Paste one in its settings.", kind="settings")
        base_url = str(settings.get("base_url") or "https://api.stripe.com").rstrip("/").removesuffix("/v1")
        return ApiClient(
            "Stripe",
            base_url,
            {"Authorization": f"Bearer {key}", "Stripe-Version": VERSION},
            unauthorized="Stripe did not accept the key: it is mistyped, expired or was revoked. "
            "Create a new one under Developers › API keys and paste it here.",
            **options,
        )


class _Reader:
    """One read of one kind of object, and of the parts inside it that were asked for."""

    def __init__(self, client: ApiClient, request: StreamRequest) -> None:
        self.client = client
        part = PARTS.get(request.name)
        name = part.comes_with if part else request.name
        if name not in LISTINGS:
            raise TerminalError(f"Stripe has no stream called “{request.name}”.", kind="stream")
        self.listing: Listing = LISTINGS[name]
        self.wanted = (request.name, *request.along)
        self.shape = Shape(self.listing.spec, omit=self.listing.omit)
        self.parts = {
            name: Shape(spec, omit=("object", "plan"))
            for name, spec in PARTS.items()
            if spec.comes_with == self.listing.spec.name and name in self.wanted
        }
        self.forbidden = _forbidden(self.listing.spec.label.lower(), self.listing.resource)

    def pages(self, since: Any) -> Iterator[Page]:
        if since is None:
            yield from self._everything(self._anchor(), "", starts_over=False)
        elif time.time() - since["checked_at"] > EVENTS_REACH:
            yield from self._everything(self._anchor(), "", starts_over=True)
        elif since.get("after"):
            yield from self._everything({k: v for k, v in since.items() if k != "after"}, since["after"])
        else:
            yield from self._changes(since)

    # Everything -------------------------------------------------------------------------------------------------

    def _anchor(self) -> dict[str, Any]:
        """Where events will be taken up after a first read: at the newest one before it began."""
        may_not = _forbidden("events", "Events")
        newest = self._get("events", {"limit": 1}, forbidden=may_not).body["data"]
        event_at = newest[0]["created"] if newest else 0
        _, times = self._news(max(0, event_at - OVERLAP), frozenset()) if newest else ({}, {})
        return {"event_at": event_at, "seen": _recent(times, event_at), "checked_at": time.time()}

    def _everything(self, anchor: dict[str, Any], after: str, *, starts_over: bool = False) -> Iterator[Page]:
        for items in self._list(after=after):
            if items:
                yield from self._rows(items, starts_over=starts_over, is_first=True)
                yield Page([], cursor={**anchor, "after": items[-1]["id"]}, starts_over=starts_over)
        yield Page([], cursor=anchor, starts_over=starts_over)

    def _list(self, *, after: str = "", created_from: int | None = None) -> Iterator[list[dict[str, Any]]]:
        params: dict[str, Any] = {**self.listing.params, "limit": PAGE}
        if self.listing.expand:
            params["expand[]"] = [f"data.{path}" for path in self.listing.expand]
        if created_from is not None:
            params["created[gte]"] = created_from
        yield from self._pages(self.listing.path, params, self.forbidden, after)

    def _pages(
        self, path: str, params: dict[str, Any], forbidden: str, after: str = ""
    ) -> Iterator[list[dict[str, Any]]]:
        while True:
            answer = self._get(path, {**params, "starting_after": after} if after else params, forbidden=forbidden)
            items = answer.body["data"]
            yield items
            if not answer.body.get("has_more") or not items:
                return
            after = items[-1]["id"]

    def _get(self, path: str, params: dict[str, Any], *, forbidden: str) -> Answer:
        answer = self.client.get(f"v1/{path}", params, forbidden=forbidden)
        assert answer is not None
        return answer

    # Changes ----------------------------------------------------------------------------------------------------

    def _changes(self, since: dict[str, Any]) -> Iterator[Page]:
        known_to = since["event_at"]
        changed, times = self._news(max(0, known_to - OVERLAP), frozenset(since["seen"]))
        newest = max((known_to, *times.values()))

        again_from = min(since.get("created_from", known_to + 1), known_to + 1)
        for items in self._list(created_from=max(0, min(known_to - OVERLAP, again_from))):
            new = [item for item in items if item["id"] in changed or _made_at(item) >= again_from]
            for item in new:
                changed.pop(item["id"], None)
                newest = max(newest, _made_at(item))
            yield from self._rows(new)

        batch: list[dict[str, Any]] = []
        for item_id, event in changed.items():
            batch.append(self._now(item_id, event))
            if len(batch) >= PAGE:
                yield from self._rows(batch)
                batch = []
        yield from self._rows(batch)

        cursor = {"event_at": newest, "seen": _recent(times, newest), "checked_at": time.time()}
        yield Page([], cursor=cursor)

    def _news(self, since: int, seen: frozenset[str]) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
        """The newest unseen event of every object that changed, and the time of every event since `since`."""
        changed: dict[str, dict[str, Any]] = {}
        times: dict[str, int] = {}
        params = {"limit": PAGE, "created[gte]": since, "types[]": list(self.listing.events)}
        for events in self._pages("events", params, _forbidden("events", "Events")):
            for event in events:
                times[event["id"]] = event["created"]
                item_id = _changed_id(event)
                if event["id"] not in seen and item_id and item_id not in changed:
                    changed[item_id] = event
        return changed, times

    def _now(self, item_id: str, event: dict[str, Any]) -> dict[str, Any]:
        """The object as it is now; what was deleted as the event last saw it."""
        last = event["data"]["object"]
        if event["type"].endswith(".deleted") and not event["type"].startswith(NOT_DELETIONS):
            return {**last, "deleted": True}
        params = {"expand[]": list(self.listing.expand)} if self.listing.expand else {}
        answer = self.client.get(f"v1/{self.listing.path}/{item_id}", params, forbidden=self.forbidden, missing_ok=True)
        if answer is None or answer.body.get("deleted"):
            return {**(last if last.get("id") == item_id else {"id": item_id}), "deleted": True}
        return answer.body

    # Rows -------------------------------------------------------------------------------------------------------

    def _rows(
        self, items: Iterable[dict[str, Any]], *, starts_over: bool = False, is_first: bool = False
    ) -> Iterator[Page]:
        """Pages of the objects and of their parts. `is_first`: nothing is kept yet that could have to go."""
        items = list(items)
        if not items:
            return
        name = self.listing.spec.name
        if name in self.wanted:
            rows = [
                self.shape.row(item, is_deleted=bool(item.get("deleted")), **_derived(name, item)) for item in items
            ]
            yield Page(rows, stream=name, starts_over=starts_over)
        for part, shape in self.parts.items():
            rows = []
            for item in items:
                inner = [] if item.get("deleted") else self._inside(part, item)
                rows += [shape.row(each, **_derived_part(part, each, item)) for each in inner]
                if not inner and not is_first:
                    owner = PARTS[part].owner_key[0]
                    rows.append({"id": item["id"], owner: item["id"], GONE: True})
            yield Page(rows, stream=part, starts_over=starts_over)

    def _inside(self, part: str, item: dict[str, Any]) -> list[dict[str, Any]]:
        """All parts of one object: Stripe sends the first ten inside it and the others when asked."""
        inside = item["items" if part == "subscription_items" else "lines"]
        if not inside.get("has_more"):
            return inside["data"]
        if part == "subscription_items":
            path, params = "subscription_items", {"subscription": item["id"], "limit": PAGE}
        else:
            path, params = f"invoices/{item['id']}/lines", {"limit": PAGE, "expand[]": ["data.discounts"]}
        return [each for page in self._pages(path, params, self.forbidden) for each in page]


def _recent(times: Mapping[str, int], newest: int) -> list[str]:
    """The events in the overlap before `newest`: the next read will meet them again and needs not act on them."""
    recent = sorted((at, event_id) for event_id, at in times.items() if at >= newest - OVERLAP)
    return [event_id for _, event_id in recent[-SEEN_AT_MOST:]]


def _made_at(item: Mapping[str, Any]) -> int:
    """When an object was created (Stripe's clock); an invoice item calls it its date."""
    return int(item["created"] if "created" in item else item["date"])


def _changed_id(event: dict[str, Any]) -> str:
    item = event["data"]["object"]
    if event["type"].startswith("customer.discount."):
        return item.get("subscription") or ""
    return item.get("id") or ""


def _derived(name: str, item: dict[str, Any]) -> dict[str, Any]:
    if name == "invoices" and item.get("tax") is None and item.get("total_taxes"):
        return {"tax": sum(tax["amount"] for tax in item["total_taxes"])}
    return {}


def _derived_part(part: str, each: dict[str, Any], owner: dict[str, Any]) -> dict[str, Any]:
    """What a part's row takes from its owner or from a list inside it."""
    if part == "subscription_items":
        return {"subscription_id": owner["id"], "is_deleted": False}
    coupons = _coupons(each, owner)
    kind = each.get("type")
    if kind is None:
        parent = (each.get("parent") or {}).get("type")
        kind = "subscription" if parent == "subscription_item_details" else "invoiceitem"
    return {
        "invoice_id": owner["id"],
        "customer_id": owner.get("customer"),
        "invoice_created": owner["created"],
        "type": kind,
        "discount_amount": sum(discount["amount"] for discount in each.get("discount_amounts") or ()),
        "discount_coupon_ids": coupons,
        "tax_amount": sum(tax["amount"] for tax in each.get("tax_amounts") or each.get("taxes") or ()),
    }


def _coupons(line: dict[str, Any], invoice: dict[str, Any]) -> list[str]:
    """The coupons that made this line cheaper, by the discounts named in it."""
    known: dict[str, str] = {}
    whole = [invoice.get("discount"), *(invoice.get("discounts") or ()), *(line.get("discounts") or ())]
    for discount in whole:
        if isinstance(discount, dict) and discount.get("id"):
            coupon = discount.get("coupon") or (discount.get("source") or {}).get("coupon")
            if coupon:
                known[discount["id"]] = coupon["id"] if isinstance(coupon, dict) else coupon
    found: list[str] = []
    for given in line.get("discount_amounts") or ():
        discount = given.get("discount")
        coupon = known.get(discount["id"] if isinstance(discount, dict) else discount)
        if coupon and given["amount"] and coupon not in found:
            found.append(coupon)
    return found


def _forbidden(what: str, resource: str) -> str:
    return (
        f"The key is not allowed to read {what}. In Stripe, open Developers › API keys, edit the key and give it "
        f"Read on “{resource}”."
    )
