"""Billing records as Stripe API objects, version 2023-08-16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.billing.ledger import TAX_PERCENT, Ledger
from sandbox.billing.models import (
    Charge,
    Coupon,
    Customer,
    Discount,
    Invoice,
    Item,
    Line,
    Price,
    Product,
    Refund,
    Subscription,
)

API_VERSION = "2023-08-16"
ACCOUNT_ID = "acct_1TidewaterSandbox00"
ACCOUNT_NAME = "Tidewater"
#: Stripe puts at most so many lines inside an invoice; the rest is behind ``lines.url``.
INLINE_LINES = 10
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
    body = {
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


class InvoiceWriter:
    """Invoices, charges and refunds; needs the ledger for tax rates and the base address for links."""

    def __init__(self, ledger: Ledger, base_url: Callable[[], str]) -> None:
        self._ledger = ledger
        self._base_url = base_url

    def tax_rate(self, currency: str) -> Json:
        """The one tax rate of a currency."""
        percent = float(TAX_PERCENT[currency])
        return {
            "id": self._ledger.tax_rates[currency],
            "object": "tax_rate",
            "active": True,
            "country": {"eur": "DE", "gbp": "GB"}[currency],
            "created": next(iter(self._ledger.catalog.products.values())).created,
            "description": None,
            "display_name": "VAT",
            "effective_percentage": None,
            "inclusive": False,
            "jurisdiction": None,
            "livemode": False,
            "metadata": {},
            "percentage": percent,
            "state": None,
            "tax_type": "vat",
        }

    def _taxes(self, currency: str, tax: int, taxable: int) -> list[Json]:
        if not TAX_PERCENT[currency]:
            return []
        return [
            {
                "amount": tax,
                "inclusive": False,
                "tax_rate": self._ledger.tax_rates[currency],
                "taxability_reason": "standard_rated",
                "taxable_amount": taxable,
            }
        ]

    def line(self, record: Line, invoice: Invoice) -> Json:
        credited = None
        if record.credits is not None:
            credited = {"invoice": record.credits[0], "invoice_line_items": [record.credits[1]]}
        net = record.amount - record.discount_amount
        unit = net // record.quantity if record.quantity and net % record.quantity == 0 else None
        body = {
            "id": record.id,
            "object": "line_item",
            "amount": record.amount,
            "amount_excluding_tax": record.amount,
            "currency": invoice.currency,
            "description": record.description,
            "discount_amounts": [{"amount": record.discount_amount, "discount": record.discount.id}]
            if record.discount
            else [],
            "discountable": not (record.proration and record.amount < 0),
            "discounts": [],
            "livemode": False,
            "metadata": {},
            "period": {"end": record.period_end, "start": record.period_start},
            "plan": plan(record.price),
            "price": price(record.price),
            "proration": record.proration,
            "proration_details": {"credited_items": credited},
            "quantity": record.quantity,
            "subscription": record.subscription,
            "tax_amounts": self._taxes(invoice.currency, record.tax, net),
            "tax_rates": [self.tax_rate(invoice.currency)] if TAX_PERCENT[invoice.currency] else [],
            "type": "invoiceitem" if record.invoice_item else "subscription",
            "unit_amount_excluding_tax": str(unit) if unit is not None else None,
        }
        if record.item is not None:
            body["subscription_item"] = record.item
        if record.invoice_item is not None:
            body["invoice_item"] = record.invoice_item
        return body

    def lines(self, record: Invoice, lines: list[Line], *, has_more: bool) -> Json:
        """A list object of some of an invoice's lines."""
        return {
            "object": "list",
            "data": [self.line(line, record) for line in lines],
            "has_more": has_more,
            "total_count": len(record.lines),
            "url": f"/v1/invoices/{record.id}/lines",
        }

    def invoice(self, record: Invoice) -> Json:
        is_paid = record.status == "paid"
        total, tax, taken = record.total, record.tax, record.discount_total
        link = f"{self._base_url()}/i/{record.id}" if record.finalized_at else None
        return {
            "id": record.id,
            "object": "invoice",
            "account_country": "US",
            "account_name": ACCOUNT_NAME,
            "account_tax_ids": None,
            "amount_due": record.amount_due,
            "amount_paid": record.amount_paid,
            "amount_remaining": record.amount_due - record.amount_paid,
            "amount_shipping": 0,
            "application": None,
            "application_fee_amount": None,
            "attempt_count": record.attempt_count,
            "attempted": is_paid or record.attempt_count > 0,
            "auto_advance": record.auto_advance,
            "automatic_tax": {"enabled": False, "status": None},
            "billing_reason": record.billing_reason,
            "charge": record.charge,
            "collection_method": "charge_automatically",
            "created": record.created,
            "currency": record.currency,
            "custom_fields": None,
            "customer": record.customer.id,
            "customer_address": None,
            "customer_email": record.customer.email,
            "customer_name": record.customer.name,
            "customer_phone": None,
            "customer_shipping": None,
            "customer_tax_exempt": "none",
            "customer_tax_ids": [],
            "default_payment_method": None,
            "default_source": None,
            "default_tax_rates": [],
            "description": None,
            "discount": discount(record.discount) if record.discount else None,
            "discounts": [record.discount.id] if record.discount else [],
            "due_date": None,
            "effective_at": record.finalized_at,
            "ending_balance": record.ending_balance,
            "footer": None,
            "from_invoice": None,
            "hosted_invoice_url": link,
            "invoice_pdf": f"{link}/pdf" if link else None,
            "last_finalization_error": None,
            "latest_revision": None,
            "lines": self.lines(record, record.lines[:INLINE_LINES], has_more=len(record.lines) > INLINE_LINES),
            "livemode": False,
            "metadata": {},
            "next_payment_attempt": record.next_payment_attempt,
            "number": record.number,
            "on_behalf_of": None,
            "paid": is_paid,
            "paid_out_of_band": False,
            "payment_intent": record.payment_intent,
            "payment_settings": {
                "default_mandate": None,
                "payment_method_options": None,
                "payment_method_types": None,
            },
            "period_end": record.period_end,
            "period_start": record.period_start,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "quote": None,
            "receipt_number": None,
            "rendering": None,
            "rendering_options": None,
            "shipping_cost": None,
            "shipping_details": None,
            "starting_balance": record.starting_balance,
            "statement_descriptor": None,
            "status": record.status,
            "status_transitions": {
                "finalized_at": record.finalized_at,
                "marked_uncollectible_at": record.marked_uncollectible_at,
                "paid_at": record.paid_at,
                "voided_at": record.voided_at,
            },
            "subscription": record.subscription.id if record.subscription else None,
            "subscription_details": {"metadata": {}} if record.subscription else None,
            "subtotal": record.subtotal,
            "subtotal_excluding_tax": record.subtotal,
            "tax": tax if TAX_PERCENT[record.currency] else None,
            "test_clock": None,
            "total": total,
            "total_discount_amounts": [{"amount": taken, "discount": record.discount.id}] if record.discount else [],
            "total_excluding_tax": total - tax,
            "total_tax_amounts": self._taxes(record.currency, tax, total - tax),
            "transfer_data": None,
            "webhooks_delivered_at": record.created,
        }

    def charge(self, record: Charge) -> Json:
        succeeded = record.status == "succeeded"
        address = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
        return {
            "id": record.id,
            "object": "charge",
            "amount": record.amount,
            "amount_captured": record.amount if succeeded else 0,
            "amount_refunded": record.amount_refunded,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": record.id.replace("ch_", "txn_", 1) if succeeded else None,
            "billing_details": {
                "address": address,
                "email": record.customer.email,
                "name": record.customer.name,
                "phone": None,
            },
            "calculated_statement_descriptor": ACCOUNT_NAME.upper(),
            "captured": succeeded,
            "created": record.created,
            "currency": record.currency,
            "customer": record.customer.id,
            "description": record.description,
            "destination": None,
            "dispute": None,
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": record.failure_code,
            "failure_message": "Your card was declined." if record.failure_code else None,
            "fraud_details": {},
            "invoice": record.invoice,
            "livemode": False,
            "metadata": {},
            "on_behalf_of": None,
            "order": None,
            "outcome": {
                "network_status": "approved_by_network" if succeeded else "declined_by_network",
                "reason": None if succeeded else "generic_decline",
                "risk_level": "normal",
                "risk_score": 16,
                "seller_message": "Payment complete."
                if succeeded
                else "The bank did not return any further details with this decline.",
                "type": "authorized" if succeeded else "issuer_declined",
            },
            "paid": succeeded,
            "payment_intent": record.payment_intent,
            "payment_method": record.customer.card,
            "payment_method_details": {
                "card": {
                    "brand": record.customer.card_brand,
                    "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
                    "country": record.customer.country,
                    "exp_month": 11,
                    "exp_year": 2031,
                    "fingerprint": record.customer.invoice_prefix,
                    "funding": "credit",
                    "installments": None,
                    "last4": record.customer.card_last4,
                    "mandate": None,
                    "network": record.customer.card_brand,
                    "three_d_secure": None,
                    "wallet": None,
                },
                "type": "card",
            },
            "receipt_email": None,
            "receipt_number": None,
            "receipt_url": f"{self._base_url()}/receipts/{record.id}" if succeeded else None,
            "refunded": succeeded and record.amount_refunded == record.amount,
            "review": None,
            "shipping": None,
            "source": None,
            "source_transfer": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": record.status,
            "transfer_data": None,
            "transfer_group": None,
        }

    def refund(self, record: Refund) -> Json:
        return {
            "id": record.id,
            "object": "refund",
            "amount": record.amount,
            "balance_transaction": record.id.replace("re_", "txn_", 1),
            "charge": record.charge,
            "created": record.created,
            "currency": record.currency,
            "metadata": {},
            "payment_intent": record.payment_intent,
            "reason": record.reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "succeeded",
            "transfer_reversal": None,
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
