"""Payment and dunning: attempts, failures, retries, giving up, refunds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.billing.models import Charge, Invoice, Refund, Subscription
from sandbox.ids import Ids
from sandbox.timeline import DAY, Timeline

#: Days after the first failed attempt on which payment is tried again, and the day on which the company gives up.
RETRY_DAYS = (3, 8, 15, 22, 35)
GIVE_UP_DAY = 42
#: A subscription this long past due no longer counts as recurring revenue.
PAST_DUE_DAYS = 30


class Payments:
    """Takes the money for finalized invoices.

    ``worth`` is told when a payment changed what a subscription is worth, ``end`` ends one that is given up.
    """

    def __init__(
        self,
        timeline: Timeline,
        ids: Ids,
        emit: Callable[[str, Any], None],
        *,
        worth: Callable[[Subscription, str], None],
        end: Callable[[Subscription], None],
    ) -> None:
        self._timeline = timeline
        self._ids = ids
        self._emit = emit
        self._worth = worth
        self._end = end
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Refund] = {}

    def collect(self, invoice: Invoice) -> bool:
        """Try to take the money; True when the invoice is paid."""
        if invoice.amount_due == 0:
            invoice.attempt_count = 0
            self._paid(invoice)
            return True
        customer = invoice.customer
        succeeded = customer.card is not None and self._timeline.now >= customer.card_fails_until
        if invoice.payment_intent is None:
            invoice.payment_intent = self._ids.stripe("pi")
        charge = Charge(
            self._ids.stripe("ch"),
            self._timeline.now,
            customer,
            invoice.id,
            invoice.payment_intent,
            invoice.amount_due,
            invoice.currency,
            {"subscription_create": "Subscription creation", "subscription_cycle": "Subscription update"}.get(
                invoice.billing_reason, "Subscription update"
            ),
            "succeeded" if succeeded else "failed",
            None if succeeded else "card_declined",
        )
        self.charges[charge.id] = charge
        invoice.charge = charge.id
        invoice.attempt_count += 1
        self._emit("charge.succeeded" if succeeded else "charge.failed", charge)
        if succeeded:
            self._paid(invoice)
        else:
            self._failed(invoice)
        return succeeded

    def _paid(self, invoice: Invoice) -> None:
        invoice.status, invoice.paid_at, invoice.amount_paid = "paid", self._timeline.now, invoice.amount_due
        invoice.next_payment_attempt, invoice.auto_advance = None, False
        self._emit("invoice.paid", invoice)
        self._emit("invoice.payment_succeeded", invoice)
        subscription = invoice.subscription
        if subscription is None:
            return
        if invoice in subscription.unpaid:
            subscription.unpaid.remove(invoice)
        if subscription.status == "past_due" and (not subscription.unpaid or invoice.id == subscription.latest_invoice):
            # The newest invoice decides; what is older stays open and is tried again.
            subscription.unpaid.clear()
            subscription.status, subscription.written_off = "active", False
            invoice.customer.delinquent = False
            self._emit("customer.subscription.updated", subscription)
        if subscription.status == "active" and not subscription.ever_paid:
            subscription.ever_paid = True
        self._worth(subscription, "change")

    def _failed(self, invoice: Invoice) -> None:
        self._emit("invoice.payment_failed", invoice)
        subscription = invoice.subscription
        if subscription is None or invoice in subscription.unpaid:
            return
        subscription.unpaid.append(invoice)
        if len(subscription.unpaid) > 1:
            return
        subscription.status = "past_due"
        invoice.customer.delinquent = True
        self._emit("customer.subscription.updated", subscription)
        self._emit("customer.updated", invoice.customer)
        self._next_attempt(invoice, 0)
        self._timeline.at(self._timeline.now + PAST_DUE_DAYS * DAY, self._past_due_too_long, subscription, invoice)

    def _next_attempt(self, invoice: Invoice, number: int) -> None:
        first = invoice.finalized_at or self._timeline.now
        if number < len(RETRY_DAYS):
            invoice.next_payment_attempt = first + RETRY_DAYS[number] * DAY
            self._timeline.at(invoice.next_payment_attempt, self._retry, invoice, number)
        else:
            invoice.next_payment_attempt = None
            self._timeline.at(first + GIVE_UP_DAY * DAY, self._give_up, invoice)

    def _retry(self, invoice: Invoice, number: int) -> None:
        subscription = invoice.subscription
        if subscription is None or subscription.is_over or invoice.status != "open":
            return
        if not self.collect(invoice):
            self._next_attempt(invoice, number + 1)
            return
        for other in list(subscription.unpaid):
            self.collect(other)

    def _past_due_too_long(self, subscription: Subscription, invoice: Invoice) -> None:
        if invoice in subscription.unpaid and not subscription.is_over:
            subscription.written_off = True
            self._worth(subscription, "churn")

    def _give_up(self, invoice: Invoice) -> None:
        subscription = invoice.subscription
        if subscription is None or subscription.is_over or invoice not in subscription.unpaid:
            return
        for unpaid in subscription.unpaid:
            unpaid.status, unpaid.marked_uncollectible_at = "uncollectible", self._timeline.now
            unpaid.auto_advance, unpaid.next_payment_attempt = False, None
            self._emit("invoice.marked_uncollectible", unpaid)
        subscription.unpaid.clear()
        subscription.canceled_at, subscription.cancel_reason = self._timeline.now, "payment_failed"
        self._end(subscription)

    def refund(self, charge: Charge, amount: int, reason: str | None = "requested_by_customer") -> Refund:
        """Give back a part or the whole of a charge."""
        refund = Refund(
            self._ids.stripe("re"),
            self._timeline.now,
            charge.id,
            charge.payment_intent,
            amount,
            charge.currency,
            reason,
        )
        charge.refunds.append(refund)
        charge.amount_refunded += amount
        self.refunds[refund.id] = refund
        self._emit("charge.refunded", charge)
        return refund
