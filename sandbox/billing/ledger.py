"""The mechanics of subscription billing as Stripe does it: periods, invoices, prorations, payments, dunning.

Nothing here decides what customers want (that is ``market``); it carries out what they asked for and tells the truth
book what each subscription is worth from which moment on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.billing.book import TruthBook
from sandbox.billing.catalog import Catalog
from sandbox.billing.lines import LineMaker, active_discount
from sandbox.billing.models import (
    Charge,
    Coupon,
    Customer,
    Discount,
    Invoice,
    InvoiceItem,
    Item,
    Line,
    Price,
    Refund,
    Subscription,
)
from sandbox.billing.money import item_value
from sandbox.billing.payments import Payments
from sandbox.ids import Ids
from sandbox.timeline import DAY, HOUR, Timeline, add_months

#: A renewal stays a draft for an hour before it is finalized and charged.
DRAFT_SECONDS = HOUR


class Ledger:
    """All customers, subscriptions, invoices, charges and refunds, each a dict by id in the order of creation."""

    def __init__(
        self,
        timeline: Timeline,
        ids: Ids,
        rng: random.Random,
        catalog: Catalog,
        book: TruthBook,
        emit: Callable[[str, Any], None],
    ) -> None:
        self.timeline = timeline
        self.ids = ids
        self.rng = rng
        self.catalog = catalog
        self.book = book
        self.emit = emit
        self.customers: dict[str, Customer] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.items: dict[str, Item] = {}
        self.invoices: dict[str, Invoice] = {}
        self.invoice_items: dict[str, InvoiceItem] = {}
        self.discounts: dict[str, Discount] = {}
        self._payments = Payments(timeline, ids, emit, worth=self._worth, end=self._end)
        self.charges, self.refunds = self._payments.charges, self._payments.refunds
        self._lines = LineMaker(timeline, ids, rng)
        self.tax_rates = {currency: ids.stripe("txr") for currency in ("eur", "gbp")}
        #: Called when a subscription ended, with the subscription.
        self.on_end: Callable[[Subscription], None] = lambda subscription: None

    @property
    def now(self) -> int:
        return self.timeline.now

    # -- what customers ask for ----------------------------------------------------------------------------------

    def create_customer(self, *, name: str, email: str, currency: str, country: str, has_card: bool) -> Customer:
        """A new customer, created now."""
        customer = Customer(
            self.ids.stripe("cus"),
            self.now,
            name,
            email,
            currency,
            country,
            self.ids.prefix("invoice-prefix"),
            self.ids.stripe("card") if has_card else None,
            self.rng.choice(("visa", "visa", "mastercard", "amex")),
            f"{self.rng.randint(0, 9999):04d}",
        )
        self.customers[customer.id] = customer
        self.emit("customer.created", customer)
        return customer

    def add_card(self, customer: Customer) -> None:
        """The customer gives a card."""
        customer.card = self.ids.stripe("card")
        self.emit("customer.updated", customer)

    def subscribe(
        self,
        customer: Customer,
        wanted: Iterable[tuple[Price, int]],
        *,
        coupon: Coupon | None = None,
        trial_days: int = 0,
        missing_payment_method: str = "create_invoice",
        one_off: Price | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Subscription:
        """Begin a subscription now; its first invoice is finalized and paid at once (0 for a trial)."""
        now = self.now
        subscription = Subscription(
            self.ids.stripe("sub"),
            now,
            customer,
            customer.currency,
            "trialing" if trial_days else "active",
            now,
            now,
            now,
            metadata=metadata or {},
        )
        subscription.items = [self._new_item(subscription, price, quantity) for price, quantity in wanted]
        if trial_days:
            subscription.trial_start, subscription.trial_end = now, now + trial_days * DAY
            subscription.anchor = subscription.period_end = subscription.trial_end
            subscription.missing_payment_method = missing_payment_method
        else:
            subscription.period_end = self._boundary(subscription, 1)
            subscription.cycles = 1
        self.subscriptions[subscription.id] = subscription
        if coupon is not None:
            self._give(subscription, coupon)
        self.emit("customer.subscription.created", subscription)
        lines = self._lines.period_lines(subscription, now, subscription.period_end, trial=bool(trial_days))
        if one_off is not None:
            lines.append(self._lines.one_off_line(subscription, one_off))
        invoice = self._invoice(subscription, "subscription_create", lines, now, now)
        self._finalize(invoice)
        if subscription.discount is not None and subscription.discount.coupon.duration == "once":
            subscription.discount = None
        self.timeline.at(subscription.period_end, self._cycle, subscription, subscription.period_end)
        if trial_days:
            self.timeline.at(subscription.period_end - 3 * DAY, self._trial_will_end, subscription)
        return subscription

    def change(
        self,
        subscription: Subscription,
        changes: Iterable[tuple[Item, Price, int]] = (),
        *,
        added: Iterable[tuple[Price, int]] = (),
        removed: Iterable[Item] = (),
        invoiced_at_once: bool = True,
    ) -> Invoice | None:
        """Change items in the middle of a period: an invoice of prorations, finalized at once; or, unless
        ``invoiced_at_once``, prorations that wait as invoice items for the next invoice.

        The unused time of what goes is credited (a negative line, net of its discount), the remaining time of what
        comes is charged. When the rhythm changes, the period begins again now with full lines.
        """
        now, start, end = self.now, subscription.period_start, subscription.period_end
        lines: list[Line] = []
        restarted = False
        for item, price, quantity in changes:
            lines.append(self._lines.credit(subscription, item, self._last(subscription), start, end))
            restarted |= (price.interval, price.interval_count) != (item.price.interval, item.price.interval_count)
            item.price, item.quantity = price, quantity
            if not restarted:
                lines.append(self._lines.remaining(subscription, item, start, end))
        for item in removed:
            if not item.price.metered:
                lines.append(self._lines.credit(subscription, item, self._last(subscription), start, end))
            subscription.items.remove(item)
            del self.items[item.id]
        for price, quantity in added:
            item = self._new_item(subscription, price, quantity)
            subscription.items.append(item)
            if not price.metered and not restarted:
                lines.append(self._lines.remaining(subscription, item, start, end))
        if restarted:
            subscription.anchor, subscription.cycles = now, 1
            subscription.period_start = now
            subscription.period_end = self._boundary(subscription, 1)
            lines += self._lines.period_lines(subscription, now, subscription.period_end)
            self.timeline.at(subscription.period_end, self._cycle, subscription, subscription.period_end)
        self.emit("customer.subscription.updated", subscription)
        invoice = None
        if invoiced_at_once or restarted:
            invoice = self._invoice(subscription, "subscription_update", lines, now, now)
            self._finalize(invoice)
        else:
            self._wait(subscription, lines)
        self._worth(subscription, "change")
        return invoice

    def change_at_renewal(self, subscription: Subscription, item: Item, price: Price, quantity: int) -> None:
        """Change an item from the next period on, without proration."""
        subscription.waiting.append((item, price, quantity))

    def give_coupon_at_renewal(self, subscription: Subscription, coupon: Coupon) -> None:
        """Let a coupon begin with the next period."""
        subscription.waiting_coupon = coupon

    def cancel_at_period_end(self, subscription: Subscription, feedback: str) -> None:
        """The customer leaves when what is paid for is used up."""
        subscription.cancel_at_period_end = True
        subscription.cancel_at = subscription.period_end
        subscription.canceled_at = self.now
        subscription.cancel_reason, subscription.cancel_feedback = "cancellation_requested", feedback
        self.emit("customer.subscription.updated", subscription)

    def keep(self, subscription: Subscription) -> None:
        """The customer stays after all."""
        subscription.cancel_at_period_end = False
        subscription.cancel_at = subscription.canceled_at = None
        subscription.cancel_reason = subscription.cancel_feedback = None
        self.emit("customer.subscription.updated", subscription)

    def cancel_now(self, subscription: Subscription, feedback: str) -> None:
        """The customer leaves at once."""
        subscription.canceled_at = self.now
        subscription.cancel_reason, subscription.cancel_feedback = "cancellation_requested", feedback
        self._end(subscription)

    def pause(self, subscription: Subscription, periods: int) -> None:
        """Stop collecting from the next period on, for so many periods; their invoices are voided."""
        last = subscription.cycles + periods
        subscription.pause_behavior = "void"
        # an hour before the boundary, so that the invoice made at the boundary is collected again
        subscription.pause_resumes_at = self._boundary(subscription, last) - HOUR
        self.emit("customer.subscription.updated", subscription)
        self.timeline.at(subscription.pause_resumes_at, self._resume, subscription)

    def refund(self, charge: Charge, amount: int, reason: str | None = "requested_by_customer") -> Refund:
        """Give back a part or the whole of a charge."""
        return self._payments.refund(charge, amount, reason)

    # -- periods ---------------------------------------------------------------------------------------------------

    def _boundary(self, subscription: Subscription, number: int) -> int:
        """The end of the so-manieth period after the anchor."""
        price = next(item.price for item in subscription.items)
        count = number * price.interval_count
        if price.interval == "week":
            return subscription.anchor + count * 7 * DAY
        if price.interval == "day":
            return subscription.anchor + count * DAY
        return add_months(subscription.anchor, count * (12 if price.interval == "year" else 1))

    def _cycle(self, subscription: Subscription, expected: int) -> None:
        if subscription.is_over or subscription.period_end != expected:
            return
        if subscription.cancel_at_period_end:
            self._end(subscription)
            return
        if subscription.status == "trialing":
            if subscription.customer.card is None and subscription.missing_payment_method == "cancel":
                subscription.canceled_at = self.now
                self._end(subscription)
                return
            if subscription.customer.card is None and subscription.missing_payment_method == "pause":
                subscription.status = "paused"
                self.emit("customer.subscription.paused", subscription)
                return
            subscription.status = "active"
        for item, price, quantity in subscription.waiting:
            item.price, item.quantity = price, quantity
        subscription.waiting.clear()
        if subscription.waiting_coupon is not None:
            self._give(subscription, subscription.waiting_coupon)
            subscription.waiting_coupon = None
        before = (subscription.period_start, subscription.period_end)
        subscription.cycles += 1
        subscription.period_start = subscription.period_end
        subscription.period_end = self._boundary(subscription, subscription.cycles)
        subscription.skipped = subscription.pause_behavior is not None
        lines = self._lines.period_lines(
            subscription, subscription.period_start, subscription.period_end, before=before
        )
        self._invoice(subscription, "subscription_cycle", lines, *before)
        subscription.draft = True
        self.emit("customer.subscription.updated", subscription)
        self._worth(subscription, "pause" if subscription.skipped else "change")
        self.timeline.at(subscription.period_end, self._cycle, subscription, subscription.period_end)

    def _trial_will_end(self, subscription: Subscription) -> None:
        if subscription.status == "trialing":
            self.emit("customer.subscription.trial_will_end", subscription)

    def _resume(self, subscription: Subscription) -> None:
        if not subscription.is_over:
            subscription.pause_behavior = subscription.pause_resumes_at = None
            self.emit("customer.subscription.updated", subscription)

    def _end(self, subscription: Subscription) -> None:
        subscription.status = "canceled"
        subscription.ended_at = self.now
        subscription.discount = subscription.discount if active_discount(subscription, self.now) else None
        self.emit("customer.subscription.deleted", subscription)
        self._worth(subscription, "churn")
        self.on_end(subscription)

    # -- discounts -------------------------------------------------------------------------------------------------

    def _give(self, subscription: Subscription, coupon: Coupon) -> None:
        end = add_months(self.now, coupon.months) if coupon.months else None
        discount = Discount(self.ids.stripe("di"), coupon, subscription.customer.id, subscription.id, self.now, end)
        coupon.times_redeemed += 1
        subscription.discount = discount
        self.discounts[discount.id] = discount
        self.emit("customer.discount.created", discount)
        if end is not None:
            self.timeline.at(end, self._discount_over, subscription, discount)

    def _discount_over(self, subscription: Subscription, discount: Discount) -> None:
        if subscription.is_over or subscription.discount is not discount:
            return
        subscription.discount = None
        self.emit("customer.discount.deleted", discount)

    # -- lines and invoices ----------------------------------------------------------------------------------------

    def _new_item(self, subscription: Subscription, price: Price, quantity: int) -> Item:
        item = Item(self.ids.stripe("si"), self.now, price, quantity, subscription.id)
        self.items[item.id] = item
        return item

    def _last(self, subscription: Subscription) -> Invoice | None:
        return self.invoices.get(subscription.latest_invoice or "")

    def _invoice(self, subscription: Subscription, reason: str, lines: list[Line], start: int, end: int) -> Invoice:
        lines = [*lines, *subscription.pending]
        subscription.pending.clear()
        discount = next((line.discount for line in lines if line.discount), None)
        invoice = Invoice(
            self.ids.stripe("in"),
            self.now,
            subscription.customer,
            subscription.currency,
            reason,
            start,
            end,
            lines,
            subscription,
            discount,
        )
        invoice.amount_due = max(0, invoice.total)
        invoice.starting_balance = subscription.customer.balance
        subscription.latest_invoice = invoice.id
        self.invoices[invoice.id] = invoice
        for line in lines:
            if line.invoice_item is not None:
                self._item_of(subscription, line).invoice = invoice.id
        self.emit("invoice.created", invoice)
        if reason == "subscription_cycle":
            invoice.next_payment_attempt = self.now + DRAFT_SECONDS
            self.timeline.at(self.now + DRAFT_SECONDS, self._finalize, invoice)
        return invoice

    def _wait(self, subscription: Subscription, lines: list[Line]) -> None:
        """Let prorations wait for the next invoice."""
        for line in lines:
            self._item_of(subscription, line)
        subscription.pending += lines

    def _item_of(self, subscription: Subscription, line: Line) -> InvoiceItem:
        """The invoice item behind a line; made when there is none yet."""
        key = line.invoice_item or ""
        if key not in self.invoice_items:
            self.invoice_items[key] = InvoiceItem(key, self.now, subscription.customer, line)
            self.emit("invoiceitem.created", self.invoice_items[key])
        return self.invoice_items[key]

    def _finalize(self, invoice: Invoice) -> None:
        subscription, customer = invoice.subscription, invoice.customer
        invoice.number = f"{customer.invoice_prefix}-{customer.next_sequence:04d}"
        customer.next_sequence += 1
        invoice.finalized_at = self.now
        if subscription is not None:
            subscription.draft = False
        if subscription is not None and subscription.skipped and invoice.billing_reason == "subscription_cycle":
            invoice.status, invoice.voided_at = "void", self.now
            invoice.auto_advance, invoice.next_payment_attempt = False, None
            invoice.ending_balance = customer.balance
            self.emit("invoice.voided", invoice)
            return
        invoice.status = "open"
        invoice.starting_balance = customer.balance
        # a credit (negative balance) is used up first; an invoice below zero becomes credit
        invoice.amount_due = max(0, invoice.total + customer.balance)
        customer.balance = min(0, invoice.total + customer.balance)
        invoice.ending_balance = customer.balance
        self.emit("invoice.finalized", invoice)
        if customer.balance != invoice.starting_balance:
            self.emit("customer.updated", customer)
        self._payments.collect(invoice)

    # -- truth -----------------------------------------------------------------------------------------------------

    def _worth(self, subscription: Subscription, why: str) -> None:
        counts = (
            subscription.ever_paid
            and not subscription.is_over
            and not subscription.written_off
            and not subscription.skipped
        )
        value = sum(item_value(item, item.discount) for item in subscription.items) if counts else 0
        self.book.record(self.now, subscription, value, why)
