"""The Stripe API: lists and single objects, read only, version 2023-08-16."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.billing.journal import Event
from sandbox.company import Company
from sandbox.doors import stripe_objects
from sandbox.doors.base import Door, reply
from sandbox.doors.stripe_lists import BadRequest, Filter, page, read_page_query
from sandbox.faults import Fault

_COMMON = {"limit", "starting_after", "ending_before", "expand", "created", "include"}
#: Resource: (name in sentences, permission of a restricted key, filters beside the common ones).
RESOURCES: dict[str, tuple[str, str, set[str]]] = {
    "customers": ("customer", "rak_customer_read", {"email"}),
    "subscriptions": (
        "subscription",
        "rak_subscription_read",
        {"customer", "status", "price", "collection_method", "current_period_end", "current_period_start"},
    ),
    "subscription_items": ("subscription item", "rak_subscription_read", {"subscription"}),
    "invoices": ("invoice", "rak_invoice_read", {"customer", "subscription", "status", "collection_method"}),
    "invoiceitems": ("invoice item", "rak_invoice_read", {"customer", "invoice", "pending"}),
    "charges": ("charge", "rak_charge_read", {"customer", "payment_intent"}),
    "refunds": ("refund", "rak_charge_read", {"charge", "payment_intent"}),
    "products": ("product", "rak_product_read", {"active", "ids"}),
    "prices": ("price", "rak_plan_read", {"active", "product", "currency", "type"}),
    "coupons": ("coupon", "rak_coupon_read", set()),
    "events": ("event", "rak_event_read", {"type", "types"}),
}

# Fields that are left out unless they are asked for; none of the company's prices has any.
_INCLUDABLE = {"tiers", "currency_options"}


class StripeDoor(Door):
    """``api_key`` opens everything; ``restrict`` makes keys that open a part; ``expire`` ends a key."""

    service = "stripe"

    def __init__(self, company: Company, api_key: str) -> None:
        super().__init__()
        self._company = company
        self.api_key = api_key
        self._restricted: dict[str, set[str]] = {}
        self._expired: set[str] = set()

    def listen(self, port: int = 0) -> int:
        number = super().listen(port)
        self._company.stripe_url = self.base_url
        return number

    def restrict(self, *resources: str) -> str:
        """A new restricted key that may read only these resources (``customers``, ``invoices``, ...)."""
        key = f"rk_test_{secrets.token_hex(12)}"
        self._restricted[key] = {RESOURCES[name][1] for name in resources}
        return key

    def endpoint(self) -> dict[str, Any]:
        return {"base_url": self.base_url, "api_key": self.api_key}

    def expire(self, key: str) -> None:
        """From now on this key is answered as one that has run out."""
        self._expired.add(key)

    # -- answers ---------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        key = _key(request)
        refusal = self._check_key(key)
        if refusal is not None:
            return refusal
        parts = request.path.strip("/").split("/")
        if request.method != "GET" or parts[0] != "v1" or len(parts) not in (2, 3, 4):
            return self._unknown(request)
        if parts[1:] == ["account"]:
            return self._reply(stripe_objects.account())
        if parts[1] not in RESOURCES:
            return self._unknown(request)
        name, permission, filters = RESOURCES[parts[1]]
        if key in self._restricted and permission not in self._restricted[key]:
            return self._forbidden(key, permission)
        try:
            with self._company.lock:
                if len(parts) == 2:
                    body = self._list(request, parts[1], name, filters)
                elif len(parts) == 3:
                    body = self._expand(self._draw(self._find(parts[1], name, parts[2], "id")), request, "")
                elif parts[1] == "invoices" and parts[3] == "lines":
                    body = self._invoice_lines(request, parts[2])
                else:
                    return self._unknown(request)
        except BadRequest as error:
            return self._error(error.status, error.message, code=error.code, param=error.param)
        return self._reply(body)

    def _records(self, resource: str) -> dict[str, Any]:
        ledger, company = self._company.ledger, self._company
        collections: dict[str, dict[str, Any]] = {
            "customers": ledger.customers,
            "subscriptions": ledger.subscriptions,
            "subscription_items": ledger.items,
            "invoices": ledger.invoices,
            "invoiceitems": ledger.invoice_items,
            "charges": ledger.charges,
            "refunds": ledger.refunds,
            "events": company.journal.events,
        }
        if resource in collections:
            return collections[resource]
        records: Iterable[Any] = {
            "products": company.catalog.products.values(),
            "prices": company.catalog.prices.values(),
            "coupons": company.catalog.coupons.values(),
        }[resource]
        return {record.id: record for record in records}

    def _draw(self, record: Any) -> dict[str, Any]:
        if isinstance(record, Event):
            return {
                "id": record.id,
                "object": "event",
                "api_version": stripe_objects.API_VERSION,
                "created": record.created,
                "data": {"object": record.data()},
                "livemode": False,
                "pending_webhooks": 0,
                "request": {"id": None, "idempotency_key": None},
                "type": record.type,
            }
        if hasattr(record, "subscription") and hasattr(record, "quantity"):
            return stripe_objects.subscription_item(record)
        return self._company.draw(record)

    def _find(self, resource: str, name: str, identifier: str, param: str) -> Any:
        record = self._records(resource).get(identifier)
        if record is None:
            raise BadRequest(f"No such {name}: '{identifier}'", code="resource_missing", param=param, status=404)
        return record

    def _list(self, request: Request, resource: str, name: str, filters: set[str]) -> dict[str, Any]:
        query = read_page_query(request, _COMMON | filters)
        wanted = Filter(request, resource)
        records = self._records(resource)
        if resource == "subscription_items":
            parent = self._find("subscriptions", "subscription", wanted.require("subscription"), "subscription")
            records = {item.id: item for item in parent.items}
        found, has_more = page(list(records.values()), query, wanted.accepts, name)
        body = {
            "object": "list",
            "data": [self._draw(record) for record in found],
            "has_more": has_more,
            "url": f"/v1/{resource}",
        }
        return self._expand(body, request, "data.")

    def _invoice_lines(self, request: Request, identifier: str) -> dict[str, Any]:
        query = read_page_query(request, {"limit", "starting_after", "ending_before", "expand"})
        invoice = self._find("invoices", "invoice", identifier, "invoice")
        # lines keep the order of the invoice, unlike all other lists
        found, has_more = page(list(reversed(invoice.lines)), query, lambda line: True, "line item")
        return self._expand(self._company.writer.lines(invoice, found, has_more=has_more), request, "data.")

    # -- expansion -------------------------------------------------------------------------------------------------

    def _expand(self, body: dict[str, Any], request: Request, prefix: str) -> dict[str, Any]:
        for path in request.args.getlist("expand[]") + request.args.getlist("expand"):
            steps = path.split(".")
            if len(steps) > 4:
                raise BadRequest("You cannot expand more than 4 levels of a property.", param="expand")
            if prefix and steps[0] != "data":
                raise BadRequest(
                    f"This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead.",
                    param="expand",
                )
            self._expand_step(body, steps, path)
        return body

    def _expand_step(self, node: Any, steps: Sequence[str], path: str) -> None:
        if isinstance(node, list):
            for child in node:
                self._expand_step(child, steps, path)
            return
        if not isinstance(node, dict) or node.get("deleted"):
            return
        name = steps[0]
        if name in _INCLUDABLE and name not in node:
            return
        if name not in node:
            raise BadRequest(f"This property cannot be expanded ({path}).", param="expand")
        value = node[name]
        if isinstance(value, str):
            node[name] = self._look_up(value)
        elif isinstance(value, list) and value and isinstance(value[0], str):
            node[name] = [self._look_up(entry) for entry in value]
        if len(steps) > 1:
            self._expand_step(node[name], steps[1:], path)

    def _look_up(self, identifier: str) -> Any:
        ledger, company = self._company.ledger, self._company
        prefix = identifier.split("_", 1)[0]
        if prefix == "txr":
            return next(
                company.writer.tax_rate(currency) for currency, rate in ledger.tax_rates.items() if rate == identifier
            )
        resource = {
            "cus": "customers",
            "sub": "subscriptions",
            "in": "invoices",
            "ii": "invoiceitems",
            "ch": "charges",
            "re": "refunds",
            "prod": "products",
            "price": "prices",
            "si": "subscription_items",
        }.get(prefix)
        record = ledger.discounts.get(identifier) if prefix == "di" else None
        if resource is not None:
            record = self._records(resource).get(identifier)
        return self._draw(record) if record is not None else identifier

    # -- keys and errors -------------------------------------------------------------------------------------------

    def _check_key(self, key: str) -> Response | None:
        if not key:
            return self._error(
                401,
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication "
                "for details, or we can help at https://support.stripe.com/.",
            )
        if key in self._expired:
            return self._error(401, f"Expired API Key provided: {_mask(key)}", code="api_key_expired")
        if key != self.api_key and key not in self._restricted:
            return self._error(401, f"Invalid API Key provided: {_mask(key)}")
        return None

    def _forbidden(self, key: str, permission: str) -> Response:
        return self._error(
            403,
            f"The provided key '{_mask(key)}' does not have the required permissions for this endpoint on account "
            f"'{stripe_objects.ACCOUNT_ID}'. Having the '{permission}' permission would allow this request to continue.",
        )

    def _unknown(self, request: Request) -> Response:
        return self._error(
            404,
            f"Unrecognized request URL ({request.method}: {request.path}). Please see https://stripe.com/docs or we can "
            "help at https://support.stripe.com/.",
        )

    def refuse(self, request: Request, fault: Fault) -> Response:
        extra = {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after is not None else {}
        if fault.kind in {"429", "rate_limit", "secondary_rate_limit"}:
            return self._error(
                429,
                "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
                code="rate_limit",
                headers={**extra, "Stripe-Rate-Limited-Reason": "global-rate"},
            )
        key = _key(request)
        if fault.kind == "expired_token":
            return self._error(401, f"Expired API Key provided: {_mask(key)}", code="api_key_expired")
        if fault.kind == "forbidden":
            resource = request.path.strip("/").split("/")[1]
            return self._forbidden(key, RESOURCES.get(resource, ("", "rak_accounts_kyc_basic_read", set()))[1])
        return self._error(int(fault.kind), "An unknown error occurred", kind="api_error", headers=extra)

    def _error(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> Response:
        error: dict[str, str] = {}
        if code is not None:
            error["code"] = code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        error["message"] = message
        if param is not None:
            error["param"] = param
        error["type"] = kind
        return self._reply({"error": error}, status, headers)

    def _reply(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        return reply(
            body,
            status,
            {
                "Request-Id": f"req_{secrets.token_hex(7)}",
                "Stripe-Version": stripe_objects.API_VERSION,
                "Cache-Control": "no-cache, no-store",
                **(headers or {}),
            },
        )


def _key(request: Request) -> str:
    """The key of a request: bearer, or the user name of basic authentication."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except ValueError:
            return ""
    return ""


def _mask(key: str) -> str:
    """A key as Stripe repeats it in errors: the kind and the last four characters."""
    head = "_".join(key.split("_")[:2]) + "_" if key.count("_") >= 2 else ""
    hidden = max(0, len(key) - len(head) - 4)
    return f"{head}{'*' * hidden}{key[len(head) + hidden :]}"
