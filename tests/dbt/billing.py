"""A few lines of Stripe billing by hand, as raw rows: for tests that follow one customer through the whole project."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any


def at(text: str) -> datetime:
    """ "2026-01-05" or "2026-01-05 10:30", in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Billing:
    """Collects rows by table; times are given as text and mean UTC."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._lines = 0

    def subscribe(self, name: str, customer: str, amount: int, **values: Any) -> None:
        """A monthly subscription with one item of `amount` minor units; `values` override the subscription's."""
        start = values.pop("created", "2026-01-01")
        item = {"quantity": 1, "currency": values.get("currency", "usd"), **values.pop("item", {})}
        self.rows["stripe__subscriptions"].append(
            {
                "id": name,
                "customer_id": customer,
                "status": "active",
                "created": at(start),
                "currency": item["currency"],
                "cancel_at_period_end": False,
                "collection_method": "charge_automatically",
                **{key: at(value) if key.endswith("_at") else value for key, value in values.items()},
            }
        )
        self.rows["stripe__subscription_items"].append(
            {
                "id": f"si_{name}",
                "subscription_id": name,
                "price_id": f"price_{amount}",
                "created": at(start),
                "unit_amount": amount,
                "recurring_interval": "month",
                "recurring_interval_count": 1,
                "recurring_usage_type": "licensed",
                "is_deleted": False,
                **item,
            }
        )

    def invoice(
        self,
        subscription: str,
        customer: str,
        start: str,
        end: str,
        amount: int,
        *,
        paid: str | None = "",
        **values: Any,
    ) -> None:
        """An invoice of one period line. `paid` "" means an hour later, None never; `values` override the invoice's."""
        created = at(start)
        line = {"currency": values.get("currency", "usd"), **values.pop("line", {})}
        paid_at = None if paid is None else created + timedelta(hours=1) if paid == "" else at(paid)
        name = f"in_{subscription}_{start}"
        self.rows["stripe__invoices"].append(
            {
                "id": name,
                "customer_id": customer,
                "subscription_id": subscription,
                "status": "open" if paid is None else "paid",
                "created": created,
                "finalized_at": created + timedelta(hours=1),
                "currency": line["currency"],
                "amount_due": amount,
                "amount_paid": 0 if paid is None else amount,
                "subtotal": amount,
                "total": amount,
                "paid_at": paid_at,
                **{key: at(value) if key.endswith("_at") else value for key, value in values.items()},
            }
        )
        self.line(name, subscription, customer, start, end, amount, **line)

    def line(
        self, invoice: str, subscription: str, customer: str, start: str, end: str, amount: int, **values: Any
    ) -> None:
        """One more line on an invoice; a monthly period unless `values` say otherwise."""
        self._lines += 1
        self.rows["stripe__invoice_lines"].append(
            {
                "id": f"il_{self._lines:04d}",
                "invoice_id": invoice,
                "customer_id": customer,
                "subscription_id": subscription,
                "subscription_item_id": f"si_{subscription}",
                "price_id": f"price_{amount}",
                "type": "subscription",
                "amount": amount,
                "quantity": 1,
                "currency": "usd",
                "proration": False,
                "period_start": at(start),
                "period_end": at(end),
                "invoice_created": at(start),
                "discount_amount": 0,
                "discount_coupon_ids": [],
                "tax_amount": 0,
                "unit_amount": amount,
                "recurring_interval": "month",
                "recurring_interval_count": 1,
                "recurring_usage_type": "licensed",
                **values,
            }
        )
