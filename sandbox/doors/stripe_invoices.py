"""Invoices, their lines, charges and refunds as Stripe API objects, version 2023-08-16."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.billing.ledger import Ledger
from sandbox.billing.lines import TAX_PERCENT
from sandbox.billing.models import Charge, Invoice, InvoiceItem, Line, Refund
from sandbox.doors import stripe_objects
from sandbox.doors.stripe_objects import Json

#: Stripe puts at most so many lines inside an invoice; the rest is behind ``lines.url``.
INLINE_LINES = 10


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
        body: Json = {
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
            "plan": stripe_objects.plan(record.price),
            "price": stripe_objects.price(record.price),
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

    def invoice_item(self, record: InvoiceItem) -> Json:
        line = record.line
        return {
            "id": record.id,
            "object": "invoiceitem",
            "amount": line.amount,
            "currency": line.price.currency,
            "customer": record.customer.id,
            "date": record.created,
            "description": line.description,
            "discountable": not line.proration,
            "discounts": [],
            "invoice": record.invoice,
            "livemode": False,
            "metadata": {},
            "period": {"end": line.period_end, "start": line.period_start},
            "plan": stripe_objects.plan(line.price),
            "price": stripe_objects.price(line.price),
            "proration": line.proration,
            "quantity": line.quantity,
            "subscription": line.subscription,
            "tax_rates": [],
            "test_clock": None,
            "unit_amount": line.price.unit_amount,
            "unit_amount_decimal": None if line.price.unit_amount is None else str(line.price.unit_amount),
            **({"subscription_item": line.item} if line.item is not None else {}),
        }

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
            "account_name": stripe_objects.ACCOUNT_NAME,
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
            "discount": stripe_objects.discount(record.discount) if record.discount else None,
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
            "calculated_statement_descriptor": stripe_objects.ACCOUNT_NAME.upper(),
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
