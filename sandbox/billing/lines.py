"""Invoice lines as Stripe makes them: one for each item and period, and two prorations for a change in between."""

from __future__ import annotations

import random

from sandbox.billing.models import Discount, Invoice, Item, Line, Price, Subscription
from sandbox.billing.money import coupon_amount, divide
from sandbox.ids import Ids
from sandbox.timeline import Timeline, day_of

TAX_PERCENT = {"usd": 0, "eur": 20, "gbp": 20}


def active_discount(subscription: Subscription, moment: int) -> Discount | None:
    """The discount of a subscription, unless it is over."""
    discount = subscription.discount
    return discount if discount and (discount.end is None or moment < discount.end) else None


class LineMaker:
    """Makes lines for the moment the timeline stands at."""

    def __init__(self, timeline: Timeline, ids: Ids, rng: random.Random) -> None:
        self._timeline = timeline
        self._ids = ids
        self._rng = rng

    def _line(self, subscription: Subscription, price: Price, quantity: int, amount: int, text: str) -> Line:
        return Line(
            self._ids.stripe("il"),
            amount,
            text,
            price,
            quantity,
            self._timeline.now,
            self._timeline.now,
            subscription=subscription.id,
        )

    def _charge_line(self, subscription: Subscription, line: Line) -> Line:
        """Take the discount off a line and put the tax on it."""
        discount = active_discount(subscription, self._timeline.now)
        if discount is not None and line.amount > 0:
            line.discount = discount
            line.discount_amount = coupon_amount(discount.coupon, line.amount)
        line.tax = divide((line.amount - line.discount_amount) * TAX_PERCENT[subscription.currency], 100)
        return line

    def period_lines(
        self,
        subscription: Subscription,
        start: int,
        end: int,
        *,
        trial: bool = False,
        before: tuple[int, int] | None = None,
    ) -> list[Line]:
        """A line for each item and period; metered items are charged for the period before."""
        lines = []
        for item in subscription.items:
            price = item.price
            if price.metered:
                if before is None or subscription.status == "trialing":
                    continue
                calls = self._rng.randint(2_000, 60_000)
                line = self._line(subscription, price, calls, divide(calls, 5), f"{calls} × API calls (at $0.002 each)")
                line.period_start, line.period_end = before
            elif trial:
                line = self._line(subscription, price, item.quantity, 0, f"Trial period for {price.product.name}")
                line.period_start, line.period_end = start, end
            else:
                amount = (price.unit_amount or 0) * item.quantity
                text = f"{item.quantity} × {price.product.name} (at {_money(price)} / {_rhythm(price)})"
                line = self._line(subscription, price, item.quantity, amount, text)
                line.period_start, line.period_end = start, end
            line.item, item.discount = item.id, active_discount(subscription, self._timeline.now)
            lines.append(self._charge_line(subscription, line))
        return lines

    def one_off_line(self, subscription: Subscription, price: Price) -> Line:
        """Something bought once: an invoice item without a subscription item."""
        line = self._line(subscription, price, 1, price.unit_amount or 0, price.product.name)
        line.one_off = True
        line.invoice_item = self._ids.stripe("ii")
        return self._charge_line(subscription, line)

    def credit(self, subscription: Subscription, item: Item, last: Invoice | None, start: int, end: int) -> Line:
        """Credit for the rest of the period of an item as it was: net of its discount, not discountable."""
        full = (item.price.unit_amount or 0) * item.quantity
        net = full - (coupon_amount(item.discount.coupon, full) if item.discount else 0)
        amount = -divide(net * (end - self._timeline.now), end - start)
        text = f"Unused time on {item.quantity} × {item.price.product.name} after {day_of(self._timeline.now):%d %b %Y}"
        line = self._line(subscription, item.price, item.quantity, amount, text)
        line.period_start, line.period_end = self._timeline.now, end
        line.proration, line.item, line.invoice_item = True, item.id, self._ids.stripe("ii")
        line.tax = divide(amount * TAX_PERCENT[subscription.currency], 100)
        line.credits = _credited(last, item)
        return line

    def remaining(self, subscription: Subscription, item: Item, start: int, end: int) -> Line:
        """The charge for the rest of the period of an item as it is now."""
        amount = divide((item.price.unit_amount or 0) * item.quantity * (end - self._timeline.now), end - start)
        text = (
            f"Remaining time on {item.quantity} × {item.price.product.name} after {day_of(self._timeline.now):%d %b %Y}"
        )
        line = self._line(subscription, item.price, item.quantity, amount, text)
        line.period_start, line.period_end = self._timeline.now, end
        line.proration, line.item, line.invoice_item = True, item.id, self._ids.stripe("ii")
        item.discount = active_discount(subscription, self._timeline.now)
        return self._charge_line(subscription, line)


def _credited(invoice: Invoice | None, item: Item) -> tuple[str, str] | None:
    """The line of an invoice that charged an item."""
    if invoice is not None:
        for line in invoice.lines:
            if line.item == item.id and line.amount > 0:
                return invoice.id, line.id
    return None


def _money(price: Price) -> str:
    sign = {"usd": "$", "eur": "€", "gbp": "£"}[price.currency]
    return f"{sign}{(price.unit_amount or 0) / 100:,.2f}"


def _rhythm(price: Price) -> str:
    if price.interval_count == 1:
        return str(price.interval)
    return f"every {price.interval_count} {price.interval}s"
