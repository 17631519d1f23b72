"""Billing records as Stripe API objects, version 2023-08-16."""

from __future__ import annotations

from typing import Any

from sandbox.billing.models import (
    Coupon,
    Customer,
    Discount,
    Item,
    Price,
    Product,
    Subscription,
)

API_VERSION = "2023-08-16"
ACCOUNT_ID = "acct_1TidewaterSandbox00"
ACCOUNT_NAME = "Tidewater"
Json = dict[str, Any]


def product(record: Product) -> Json:
    return {
        "id": record.id,
        "object": "product",
        "active": record.active,
        "attributes": [],
        "created": record.created,
        "default_price": None,
        "description": record.description,
        "features": [],
        "images": [],
        "livemode": False,
        "metadata": {},
        "name": record.name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": record.updated,
        "url": None,
    }


def price(record: Price) -> Json:
    recurring = None
    if record.interval is not None:
        recurring = {
            "aggregate_usage": "sum" if record.metered else None,
            "interval": record.interval,
            "interval_count": record.interval_count,
            "trial_period_days": None,
            "usage_type": "metered" if record.metered else "licensed",
        }
    return {
        "id": record.id,
        "object": "price",
        "active": record.active,
        "billing_scheme": "per_unit",
        "created": record.created,
        "currency": record.currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": record.nickname,
        "product": record.product.id,
        "recurring": recurring,
        "tax_behavior": "exclusive",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": record.unit_amount,
        "unit_amount_decimal": record.unit_amount_decimal,
    }


def plan(record: Price) -> Json | None:
    """The older name of a recurring price, which Stripe still puts beside it."""
    if record.interval is None:
        return None
    return {
        "id": record.id,
        "object": "plan",
        "active": record.active,
        "aggregate_usage": "sum" if record.metered else None,
        "amount": record.unit_amount,
        "amount_decimal": record.unit_amount_decimal,
        "billing_scheme": "per_unit",
        "created": record.created,
        "currency": record.currency,
        "interval": record.interval,
        "interval_count": record.interval_count,
        "livemode": False,
        "metadata": {},
        "nickname": record.nickname,
        "product": record.product.id,
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "metered" if record.metered else "licensed",
    }


def coupon(record: Coupon) -> Json:
    return {
        "id": record.id,
        "object": "coupon",
        "amount_off": record.amount_off,
        "created": record.created,
        "currency": record.currency,
        "duration": record.duration,
        "duration_in_months": record.months,
        "livemode": False,
        "max_redemptions": None,
        "metadata": {},
        "name": record.name,
        "percent_off": record.percent_off,
        "redeem_by": None,
        "times_redeemed": record.times_redeemed,
        "valid": True,
    }


def discount(record: Discount) -> Json:
    return {
        "id": record.id,
        "object": "discount",
        "checkout_session": None,
        "coupon": coupon(record.coupon),
        "customer": record.customer,
        "end": record.end,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "start": record.start,
        "subscription": record.subscription,
    }


def customer(record: Customer) -> Json:
    if record.deleted:
        return {"id": record.id, "object": "customer", "deleted": True}
    return {
        "id": record.id,
        "object": "customer",
        "address": {
            "city": None,
            "country": record.country,
            "line1": None,
            "line2": None,
            "postal_code": None,
            "state": None,
        },
        "balance": record.balance,
        "created": record.created,
        "currency": record.currency,
        "default_source": None,
        "delinquent": record.delinquent,
        "description": None,
        "discount": None,
        "email": record.email,
        "invoice_prefix": record.invoice_prefix,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": record.card,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": dict(record.metadata),
        "name": record.name,
        "next_invoice_sequence": record.next_sequence,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def subscription_item(record: Item) -> Json:
    body: Json = {
        "id": record.id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": record.created,
        "metadata": {},
        "plan": plan(record.price),
        "price": price(record.price),
        "quantity": record.quantity,
        "subscription": record.subscription,
        "tax_rates": [],
    }
    if record.price.metered:
        del body["quantity"]
    return body


def subscription(record: Subscription) -> Json:
    items = [subscription_item(item) for item in record.items]
    alone = record.items[0] if len(record.items) == 1 else None
    pause = None
    if record.pause_behavior is not None:
        pause = {"behavior": record.pause_behavior, "resumes_at": record.pause_resumes_at}
    return {
        "id": record.id,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"enabled": False},
        "billing_cycle_anchor": record.anchor,
        "billing_thresholds": None,
        "cancel_at": record.cancel_at,
        "cancel_at_period_end": record.cancel_at_period_end,
        "canceled_at": record.canceled_at,
        "cancellation_details": {
            "comment": None,
            "feedback": record.cancel_feedback,
            "reason": record.cancel_reason,
        },
        "collection_method": "charge_automatically",
        "created": record.created,
        "currency": record.currency,
        "current_period_end": record.period_end,
        "current_period_start": record.period_start,
        "customer": record.customer.id,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discount": discount(record.discount) if record.discount else None,
        "ended_at": record.ended_at,
        "items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "total_count": len(items),
            "url": f"/v1/subscription_items?subscription={record.id}",
        },
        "latest_invoice": record.latest_invoice,
        "livemode": False,
        "metadata": dict(record.metadata),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": pause,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "plan": plan(alone.price) if alone else None,
        "quantity": alone.quantity if alone and not alone.price.metered else None,
        "schedule": None,
        "start_date": record.created,
        "status": record.status,
        "test_clock": None,
        "transfer_data": None,
        "trial_end": record.trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": record.missing_payment_method}},
        "trial_start": record.trial_start,
    }


def account() -> Json:
    """The account itself, as ``/v1/account`` shows it."""
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "business_profile": {"mcc": None, "name": ACCOUNT_NAME, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "created": 1_600_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": "finance@tidewater.example",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": ACCOUNT_NAME, "timezone": "Etc/UTC"}},
        "type": "standard",
    }
