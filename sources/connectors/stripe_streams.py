"""What Stripe offers: each stream's columns, where its objects are listed, and which events tell of changes.

Paths before a "|" are those of the API version the connector asks for (`stripe.VERSION`); after it come those of
newer versions, which proxies and old events may bring.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sources.connectors.base import Column, StreamSpec
from sources.connectors.shape import EXTRA

C = Column


def _times(*names: str, within: str = "") -> tuple[Column, ...]:
    return tuple(C(name, "timestamp", f"{within}{name}") for name in names)


def _amounts(*names: str) -> tuple[Column, ...]:
    return tuple(C(name, "bigint") for name in names)


def _price(prefix: str, newer: str = "") -> tuple[Column, ...]:
    """What an item costs, from the price inside it (or the plan, in old objects)."""
    plan = prefix.replace("price", "plan")
    return (
        C("unit_amount", "bigint", f"{prefix}.unit_amount|{plan}.amount"),
        C("unit_amount_decimal", "text", f"{prefix}.unit_amount_decimal|{plan}.amount_decimal{newer}"),
        C("recurring_interval", "text", f"{prefix}.recurring.interval|{plan}.interval"),
        C("recurring_interval_count", "bigint", f"{prefix}.recurring.interval_count|{plan}.interval_count"),
        C("recurring_usage_type", "text", f"{prefix}.recurring.usage_type|{plan}.usage_type"),
    )


ID = C("id")
CREATED = C("created", "timestamp")
METADATA = C("metadata", "json")
IS_DELETED = C("is_deleted", "bool", "deleted")

CUSTOMERS = (
    ID,
    CREATED,
    *(C("email"), C("name"), C("description"), C("currency"), C("balance", "bigint"), C("delinquent", "bool")),
    METADATA,
    IS_DELETED,
)
PRODUCTS = (
    ID,
    CREATED,
    C("updated", "timestamp"),
    *(C("name"), C("active", "bool"), C("description")),
    METADATA,
    IS_DELETED,
)
PRICES = (
    ID,
    CREATED,
    C("product_id", "text", "product"),
    *(C("active", "bool"), C("currency"), C("unit_amount", "bigint"), C("unit_amount_decimal")),
    *(C("type"), C("billing_scheme"), C("tiers_mode"), C("tiers", "json")),
    C("recurring_interval", "text", "recurring.interval"),
    C("recurring_interval_count", "bigint", "recurring.interval_count"),
    C("recurring_usage_type", "text", "recurring.usage_type"),
    C("nickname"),
    METADATA,
    IS_DELETED,
)
COUPONS = (
    ID,
    CREATED,
    *(C("name"), C("percent_off", "double"), C("amount_off", "bigint"), C("currency"), C("duration")),
    *(C("duration_in_months", "bigint"), C("valid", "bool")),
    METADATA,
    IS_DELETED,
)
SUBSCRIPTIONS = (
    ID,
    C("customer_id", "text", "customer"),
    C("status"),
    CREATED,
    C("start_date", "timestamp"),
    C("currency"),
    C("current_period_start", "timestamp", "current_period_start|items.data.0.current_period_start"),
    C("current_period_end", "timestamp", "current_period_end|items.data.0.current_period_end"),
    *_times("trial_start", "trial_end", "cancel_at"),
    C("cancel_at_period_end", "bool"),
    *_times("canceled_at", "ended_at"),
    C("pause_behavior", "text", "pause_collection.behavior"),
    C("pause_resumes_at", "timestamp", "pause_collection.resumes_at"),
    C("latest_invoice_id", "text", "latest_invoice"),
    C("collection_method"),
    C("discount_coupon_id", "text", "discount.coupon|discounts.0.coupon|discounts.0.source.coupon"),
    C("discount_start", "timestamp", "discount.start|discounts.0.start"),
    C("discount_end", "timestamp", "discount.end|discounts.0.end"),
    C("discount_percent_off", "double", "discount.coupon.percent_off|discounts.0.coupon.percent_off"),
    C("discount_amount_off", "bigint", "discount.coupon.amount_off|discounts.0.coupon.amount_off"),
    C("discount_duration", "text", "discount.coupon.duration|discounts.0.coupon.duration"),
    METADATA,
)
SUBSCRIPTION_ITEMS = (
    ID,
    C("subscription_id", "text", "subscription"),
    C("price_id", "text", "price|plan"),
    C("product_id", "text", "price.product|plan.product"),
    C("quantity", "bigint"),
    CREATED,
    C("currency", "text", "price.currency|plan.currency"),
    *_price("price"),
    METADATA,
    IS_DELETED,
)
INVOICES = (
    ID,
    C("customer_id", "text", "customer"),
    C("subscription_id", "text", "subscription|parent.subscription_details.subscription"),
    *(C("number"), C("status")),
    CREATED,
    C("currency"),
    *_amounts("amount_due", "amount_paid", "amount_remaining", "subtotal", "tax", "total"),
    C("billing_reason"),
    *_times("period_start", "period_end", "due_date"),
    *_times("finalized_at", "paid_at", "voided_at", "marked_uncollectible_at", within="status_transitions."),
    C("attempt_count", "bigint"),
    C("next_payment_attempt", "timestamp"),
    C("discount_coupon_id", "text", "discount.coupon|discounts.0.coupon|discounts.0.source.coupon"),
    C("charge_id", "text", "charge"),
    METADATA,
    IS_DELETED,
)
_ITEM_PARENT = "parent.subscription_item_details"
INVOICE_LINES = (
    ID,
    *(C("invoice_id", "text", "invoice"), C("customer_id", "text", "customer")),
    C("subscription_id", "text", f"subscription|{_ITEM_PARENT}.subscription"),
    C("subscription_item_id", "text", f"subscription_item|{_ITEM_PARENT}.subscription_item"),
    C("price_id", "text", "price|plan|pricing.price_details.price"),
    C("product_id", "text", "price.product|plan.product|pricing.price_details.product"),
    *(C("type"), C("description"), C("amount", "bigint"), C("quantity", "bigint"), C("currency")),
    C("proration", "bool", f"proration|{_ITEM_PARENT}.proration|parent.invoice_item_details.proration"),
    C("period_start", "timestamp", "period.start"),
    C("period_end", "timestamp", "period.end"),
    C("invoice_created", "timestamp"),
    C("discount_amount", "bigint"),
    C("discount_coupon_ids", "json"),
    C("tax_amount", "bigint"),
    *_price("price", newer="|pricing.unit_amount_decimal"),
    C("billing_scheme", "text", "price.billing_scheme|plan.billing_scheme"),
    METADATA,
)
_ITEM_OWNER = "parent.subscription_details"
INVOICE_ITEMS = (
    ID,
    C("created", "timestamp", "date"),
    C("customer_id", "text", "customer"),
    C("subscription_id", "text", f"subscription|{_ITEM_OWNER}.subscription"),
    C("subscription_item_id", "text", f"subscription_item|{_ITEM_OWNER}.subscription_item"),
    C("invoice_id", "text", "invoice"),
    C("price_id", "text", "price|plan|pricing.price_details.price"),
    *(C("description"), C("amount", "bigint"), C("quantity", "bigint"), C("currency"), C("proration", "bool")),
    C("period_start", "timestamp", "period.start"),
    C("period_end", "timestamp", "period.end"),
    *_price("price", newer="|pricing.unit_amount_decimal"),
    METADATA,
    IS_DELETED,
)
CHARGES = (
    ID,
    *(C("customer_id", "text", "customer"), C("invoice_id", "text", "invoice")),
    CREATED,
    C("status"),
    *_amounts("amount", "amount_refunded"),
    *(C("currency"), C("paid", "bool"), C("refunded", "bool"), C("failure_code"), C("failure_message")),
    METADATA,
)
REFUNDS = (
    ID,
    C("charge_id", "text", "charge"),
    CREATED,
    *(C("amount", "bigint"), C("currency"), C("status"), C("reason")),
    METADATA,
)


@dataclass(frozen=True)
class Listing:
    """One kind of object: where Stripe lists it and which events say that one of them changed."""

    spec: StreamSpec
    path: str
    events: tuple[str, ...]
    resource: str  # what the permission is called in Stripe's key editor
    params: dict[str, str] = field(default_factory=dict)
    expand: tuple[str, ...] = ()
    omit: frozenset[str] = frozenset({"object", "deleted"})


def _spec(
    name: str,
    label: str,
    description: str,
    columns: tuple[Column, ...],
    resource: str,
    *,
    comes_with: str = "",
    owner: str = "",
) -> StreamSpec:
    return StreamSpec(
        name=name,
        label=label,
        description=description,
        primary_key=("id",),
        cursor_fields=("created",),
        columns=(*columns, EXTRA),
        permission=f"{resource}: Read",
        comes_with=comes_with,
        owner_key=(owner,) if owner else (),
    )


def _events(prefix: str, *verbs: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{verb}" for verb in verbs)


CHANGES = ("created", "updated", "deleted")

LISTINGS: dict[str, Listing] = {
    listing.spec.name: listing
    for listing in (
        Listing(
            _spec("customers", "Customers", "One row per customer.", CUSTOMERS, "Customers"),
            "customers",
            _events("customer", *CHANGES),
            "Customers",
        ),
        Listing(
            _spec("products", "Products", "What is sold.", PRODUCTS, "Products"),
            "products",
            _events("product", *CHANGES),
            "Products",
        ),
        Listing(
            _spec("prices", "Prices", "What a product costs, per interval.", PRICES, "Prices"),
            "prices",
            _events("price", *CHANGES),
            "Prices",
            expand=("tiers",),
        ),
        Listing(
            _spec("coupons", "Coupons", "Discounts that can be given.", COUPONS, "Coupons"),
            "coupons",
            _events("coupon", *CHANGES),
            "Coupons",
        ),
        Listing(
            _spec(
                "subscriptions",
                "Subscriptions",
                "One row per subscription, ended ones too.",
                SUBSCRIPTIONS,
                "Subscriptions",
            ),
            "subscriptions",
            (
                *_events(
                    "customer.subscription",
                    *CHANGES,
                    *("paused", "resumed", "pending_update_applied", "pending_update_expired", "trial_will_end"),
                ),
                # A discount that begins or ends changes what its subscription is worth.
                *_events("customer.discount", *CHANGES),
            ),
            "Subscriptions",
            params={"status": "all"},
            omit=frozenset({"object", "deleted", "items", "plan"}),
        ),
        Listing(
            _spec("invoices", "Invoices", "One row per invoice.", INVOICES, "Invoices"),
            "invoices",
            _events(
                "invoice",
                *CHANGES,
                *("finalized", "finalization_failed", "marked_uncollectible", "paid", "payment_action_required"),
                *("payment_failed", "payment_succeeded", "sent", "voided"),
            ),
            "Invoices",
            expand=("discounts", "lines.data.discounts"),
            omit=frozenset({"object", "deleted", "lines"}),
        ),
        Listing(
            _spec(
                "invoice_items",
                "Invoice items",
                "What waits to be invoiced, such as a change within a period, and what was.",
                INVOICE_ITEMS,
                "Invoices",
            ),
            "invoiceitems",
            # Nothing is said when an item comes onto an invoice: the invoice's line tells.
            _events("invoiceitem", "created", "deleted"),
            "Invoices",
        ),
        Listing(
            _spec("charges", "Charges", "Payments that were tried.", CHARGES, "Charges and Refunds"),
            "charges",
            _events("charge", "captured", "expired", "failed", "pending", "refunded", "succeeded", "updated"),
            "Charges and Refunds",
        ),
        Listing(
            _spec("refunds", "Refunds", "Money that was given back.", REFUNDS, "Charges and Refunds"),
            "refunds",
            (*_events("refund", "created", "updated", "failed"), "charge.refund.updated"),
            "Charges and Refunds",
        ),
    )
}

# Streams whose rows are inside another stream's objects.
PARTS: dict[str, StreamSpec] = {
    "subscription_items": _spec(
        "subscription_items",
        "Subscription items",
        "What each subscription consists of; an item that is taken off disappears.",
        SUBSCRIPTION_ITEMS,
        "Subscriptions",
        comes_with="subscriptions",
        owner="subscription_id",
    ),
    "invoice_lines": _spec(
        "invoice_lines",
        "Invoice lines",
        "Every line of every invoice.",
        INVOICE_LINES,
        "Invoices",
        comes_with="invoices",
        owner="invoice_id",
    ),
}

STREAMS: tuple[StreamSpec, ...] = (*(listing.spec for listing in LISTINGS.values()), *PARTS.values())
