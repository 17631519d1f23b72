"""What the customers of the simulated company want: who comes, who grows, who pays late, who leaves and returns."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sandbox import names
from sandbox.billing.ledger import Ledger
from sandbox.billing.models import Charge, Customer, Item, Price, Subscription
from sandbox.billing.money import item_value
from sandbox.timeline import DAY, HOUR, Timeline, office_time, utc

#: Recurring revenue on the day billing moved to Stripe, in US cents; scales up to ``SAME_COMPANY`` are the same company
#: in more pieces. Larger ones would leave less than a seat for each customer, so there the company grows with them.
OPENING_MRR = 17_000_000
SAME_COMPANY = 4.0
#: The dollar part of it that the company aims at: so much at the start and so much more each month, in US cents. Sales
#: tries harder when the company falls behind and eases off when it is ahead, so every seed tells the same story.
_AIM, _AIM_PER_MONTH = 15_600_000, 62_500
OPENING_CUSTOMERS = 260
#: Only for sizing the opening book; no number that anybody sees is converted with these.
_ROUGH_DOLLARS = {"usd": 1.0, "eur": 1.08, "gbp": 1.27}
#: Self-serve sign-up opened this long before the world was first looked at; since then somebody signs up every 50 to
#: 90 minutes, so that a fresh copy of the data always holds something younger than three hours.
SELF_SERVE_DAYS = 21
_SIGN_UP_GAP = (50 * 60, 90 * 60)
#: Days from the first talk to the signature: the median, how far it spreads, and the bounds.
SALES_CYCLE_DAYS, _CYCLE_SPREAD, _CYCLE_BOUNDS = 29.0, 0.55, (4.0, 150.0)
#: Base rate of sales that begin to be talked about, a month.
_SALES_PER_MONTH = 6.0
_FEEDBACK = ("too_expensive", "missing_features", "switched_service", "unused", "customer_service", "other")
_PLANS = {
    "usd": [
        ("team-month", 44),
        ("business-month", 20),
        ("team-year", 9),
        ("business-year", 7),
        ("team-quarter", 7),
        ("business-quarter", 6),
        ("business-half", 3),
    ],
    "eur": [("team-month-eur", 6), ("business-month-eur", 3), ("team-year-eur", 2)],
    "gbp": [("team-month-gbp", 6), ("business-month-gbp", 4)],
}


@dataclass(frozen=True, slots=True)
class Prospect:
    """A company that talks to sales since ``opened_at`` and will buy this at ``buys_at``; nobody else knows that yet."""

    name: str
    email: str
    country: str
    currency: str
    price: Price
    seats: int
    coupon: str | None
    onboarding: bool
    opened_at: int
    buys_at: int


class Market:
    """Drives a ledger. Every decision is drawn from one generator in the order in which things happen."""

    def __init__(self, timeline: Timeline, rng: random.Random, ledger: Ledger, *, scale: float, opened_at: int) -> None:
        self.timeline = timeline
        self.rng = rng
        self.ledger = ledger
        self.scale = scale
        self._size = max(1.0, scale / SAME_COMPANY)
        self.self_serve_from = opened_at - SELF_SERVE_DAYS * DAY
        #: Names of companies that are in use.
        self.taken: set[str] = set()
        self._seat_factor = 1.0
        self._opened = timeline.now
        #: Called with (customer, seats, plan) when a company begins to use the product.
        self.on_sign_up: Callable[[Customer, int, str], None] = lambda customer, seats, plan: None
        #: Called when a company that will buy begins to talk to sales, and when it has bought.
        self.on_prospect: Callable[[Prospect], None] = lambda prospect: None
        self.on_sale: Callable[[Prospect, Subscription], None] = lambda prospect, subscription: None
        #: How likely a customer is to leave in relation to the average: what they do with the product decides.
        self.leaving: Callable[[Customer], float] = lambda customer: 1.0
        ledger.on_end = self._ended

    # -- beginnings ------------------------------------------------------------------------------------------------

    def open(self, first_day: int) -> None:
        """Import the customers the company already had, during the working hours of the first day."""
        count = max(12, round(OPENING_CUSTOMERS * self.scale))
        drafts = [self._draft() for _ in range(count)]
        total = sum(
            item_value(Item("", 0, price, seats, "")) * _ROUGH_DOLLARS[currency] for currency, price, seats in drafts
        )
        factor = self._seat_factor = OPENING_MRR * self._size / total
        for number, (currency, price, seats) in enumerate(drafts):
            moment = first_day + 8 * HOUR + number * (10 * HOUR) // count
            self.timeline.at(moment, self._import, number, currency, price, max(1, round(seats * factor)))
        # those who were in talks with sales when the history begins
        moment = first_day - 120 * DAY
        while (moment := moment + self._gap(_SALES_PER_MONTH)) < first_day:
            self._prospect(moment)
        self.timeline.at(first_day + self._gap(_SALES_PER_MONTH), self._next_prospect)
        self.timeline.at(first_day + 5 * DAY, self._next_trial)
        self.timeline.at(self.self_serve_from, self._next_sign_up)

    def _draft(self) -> tuple[str, Price, int]:
        currency = self.rng.choices(("usd", "eur", "gbp"), (94, 4, 2))[0]
        plans = _PLANS[currency]
        key = self.rng.choices([name for name, _ in plans], [weight for _, weight in plans])[0]
        seats = max(2, round(self.rng.lognormvariate(2.7, 0.6)))
        return currency, self.ledger.catalog.prices[key], seats

    def _import(self, number: int, currency: str, price: Price, seats: int) -> None:
        prices = self.ledger.catalog.prices
        customer = self._company(currency, has_card=True)
        customer.metadata["imported"] = "true"
        if number % 13 == 5 and currency == "usd":
            self._begin(customer, [(prices["free"], 1)], plan="free", seats=2)
            return
        if number % 87 == 3 and currency == "usd":
            price, seats = prices["team-week"], 3 * self.rng.randint(1, 5)
        wanted = [(price, seats)]
        if currency == "usd" and price.interval == "month" and price.interval_count == 1:
            if self.rng.random() < 0.08:
                wanted.append((prices["analytics-month"], 1))
            if self.rng.random() < 0.10:
                wanted.append((prices["api-month"], 1))
        coupon = "NONPROFIT25" if self.rng.random() < 0.04 else None
        self._begin(customer, wanted, coupon=coupon)

    def _company(self, currency: str, *, has_card: bool) -> Customer:
        name, email, country = self._name(currency)
        return self.ledger.create_customer(
            name=name, email=email, currency=currency, country=country, has_card=has_card
        )

    def _name(self, currency: str) -> tuple[str, str, str]:
        """A company that nobody has yet, the mail address of somebody there, and its country."""
        name, domain = names.company(self.rng, self.taken)
        country = {"usd": "US", "eur": self.rng.choice(("DE", "FR", "NL", "ES")), "gbp": "GB"}[currency]
        return name, f"{names.local_part(names.person(self.rng))}@{domain}", country

    def _begin(
        self,
        customer: Customer,
        wanted: list[tuple[Price, int]],
        *,
        coupon: str | None = None,
        trial_days: int = 0,
        missing: str = "create_invoice",
        onboarding: bool = False,
        plan: str | None = None,
        seats: int | None = None,
        is_first: bool = True,
    ) -> Subscription:
        catalog = self.ledger.catalog
        subscription = self.ledger.subscribe(
            customer,
            wanted,
            coupon=catalog.coupons[coupon] if coupon else None,
            trial_days=trial_days,
            missing_payment_method=missing,
            one_off=catalog.prices["onboarding"] if onboarding else None,
        )
        if is_first:
            label = plan or ("trial" if trial_days else wanted[0][0].product.name.lower())
            self.on_sign_up(customer, seats or wanted[0][1], label)
        self._review_later(subscription)
        return subscription

    def _gap(self, per_month: float) -> int:
        return max(60, round(self.rng.expovariate(per_month * self.scale / (30 * DAY))))

    def _next_prospect(self) -> None:
        """Sales finds somebody who will buy in the end: no trial, a card on the day."""
        months = (self.timeline.now - self._opened) / (30.4 * DAY)
        behind = self._size * (_AIM + _AIM_PER_MONTH * months) / max(1, self.ledger.book.total("usd"))
        effort = min(3.0, max(0.4, behind**12))
        self.timeline.at(self.timeline.now + self._gap(_SALES_PER_MONTH * effort), self._next_prospect)
        self._prospect(self.timeline.now)

    def _prospect(self, opened_at: int) -> None:
        shortest, longest = _CYCLE_BOUNDS
        days = self.rng.lognormvariate(math.log(SALES_CYCLE_DAYS), _CYCLE_SPREAD)
        buys_at = office_time(opened_at + min(longest, max(shortest, days)) * DAY)
        if buys_at < self._opened + 3 * DAY:
            return  # one of the customers the company already had
        currency, price, seats = self._draft()
        seats = max(1, round(seats * 0.75 * self._seat_factor))
        coupon = None
        monthly = price.interval == "month" and price.interval_count == 1
        draw = self.rng.random()
        if draw < 0.10:
            coupon = "WELCOME20"
        elif draw < 0.20 and monthly:
            coupon = "LAUNCH50"
        elif draw < 0.24 and currency == "usd" and (price.unit_amount or 0) * seats > 10_000:
            coupon = "FRIEND50"
        elif draw < 0.27:
            coupon = "NONPROFIT25"
        onboarding = currency == "usd" and self.rng.random() < 0.2
        name, email, country = self._name(currency)
        prospect = Prospect(name, email, country, currency, price, seats, coupon, onboarding, opened_at, buys_at)
        self.timeline.at(buys_at, self._sale, prospect)
        self.on_prospect(prospect)

    def _sale(self, prospect: Prospect) -> None:
        customer = self.ledger.create_customer(
            name=prospect.name,
            email=prospect.email,
            currency=prospect.currency,
            country=prospect.country,
            has_card=True,
        )
        subscription = self._begin(
            customer,
            [(prospect.price, prospect.seats)],
            coupon=prospect.coupon,
            onboarding=prospect.onboarding,
        )
        self.on_sale(prospect, subscription)

    def _next_trial(self) -> None:
        """Before self-serve: sales hands out trials."""
        if self.timeline.now >= self.self_serve_from:
            return
        self.timeline.at(self.timeline.now + self._gap(7), self._next_trial)
        self._trial(converts=0.40, seats=(2, 9))

    def _next_sign_up(self) -> None:
        gap = self.rng.randint(*_SIGN_UP_GAP) / max(1.0, self.scale)
        self.timeline.at(self.timeline.now + round(gap), self._next_sign_up)
        self._trial(converts=0.07, seats=(1, 5))

    def _trial(self, *, converts: float, seats: tuple[int, int]) -> None:
        prices = self.ledger.catalog.prices
        currency = self.rng.choices(("usd", "eur", "gbp"), (90, 6, 4))[0]
        key = {"usd": "team-month", "eur": "team-month-eur", "gbp": "team-month-gbp"}[currency]
        customer = self._company(currency, has_card=False)
        missing = self.rng.choices(("cancel", "pause"), (85, 15))[0]
        subscription = self._begin(
            customer,
            [(prices[key], max(1, round(self.rng.randint(*seats) * self._size / max(1.0, self.scale))))],
            trial_days=14,
            missing=missing,
        )
        if self.rng.random() < converts:
            self.timeline.at(self.timeline.now + self.rng.randint(2, 13) * DAY, self._buys, subscription)
        elif self.rng.random() < 0.1:
            self.timeline.at(self.timeline.now + self.rng.randint(1, 12) * DAY, self._leaves_trial, subscription)

    def _buys(self, subscription: Subscription) -> None:
        if subscription.status != "trialing":
            return
        self.ledger.add_card(subscription.customer)
        if self.rng.random() < 0.08:
            # the card works from some days after the trial on: the customer converts when the first invoice is paid
            subscription.customer.card_fails_until = subscription.period_end + self.rng.randint(1, 12) * DAY

    def _leaves_trial(self, subscription: Subscription) -> None:
        if subscription.status == "trialing" and not subscription.cancel_at_period_end:
            self.ledger.cancel_at_period_end(subscription, "unused")

    # -- life ------------------------------------------------------------------------------------------------------

    def _review_later(self, subscription: Subscription) -> None:
        self.timeline.at(self.timeline.now + round(self.rng.uniform(22, 38) * DAY), self._review, subscription)

    def _is_settled(self, subscription: Subscription) -> bool:
        """Whether nothing is under way, so that a change is clean."""
        return (
            subscription.status == "active"
            and not subscription.draft
            and not subscription.unpaid
            and not subscription.cancel_at_period_end
            and not subscription.skipped
            and subscription.pause_behavior is None
            and not subscription.waiting
            and subscription.waiting_coupon is None
            and subscription.period_end - self.timeline.now > 2 * HOUR
            and subscription.customer.card_fails_until <= self.timeline.now
        )

    def _review(self, subscription: Subscription) -> None:
        """Once in about a month a customer thinks about the subscription."""
        if subscription.is_over or subscription.status == "paused":
            return
        self._review_later(subscription)
        if not self._is_settled(subscription) or self.ledger.book.value(subscription) == 0:
            return
        draw = self.rng.random()
        leaving = self.leaving(subscription.customer)
        discount = subscription.discount
        is_fixed = discount is not None and discount.coupon.amount_off is not None
        is_short = discount is not None and discount.end is not None
        for chance, act, allowed in (
            (0.0170 * leaving, self._leave, True),
            (0.0020 * leaving, self._leave_at_once, True),
            (0.0045, self._pause, self._is_monthly(subscription)),
            (0.0160, self._card_breaks, True),
            (0.0380, self._more_seats, not is_fixed),
            (0.0130, self._fewer_seats, not is_fixed),
            (0.0090, self._fewer_seats_later, not is_fixed),
            (0.0060, self._upgrade, not is_fixed),
            (0.0050, self._downgrade_later, not is_fixed),
            (0.0100, self._add_analytics, not is_fixed),
            (0.0050, self._drop_analytics, not is_fixed),
            (0.0050, self._pay_by_the_year, not is_fixed and not is_short),
            (0.0050, self._ask_for_discount, discount is None and self._is_monthly(subscription)),
            (0.0040, self._ask_for_refund, True),
            (0.0030, self._buy_support, not is_fixed),
        ):
            draw -= chance
            if draw < 0:
                if allowed:
                    act(subscription)
                return

    def _is_monthly(self, subscription: Subscription) -> bool:
        price = subscription.items[0].price
        return price.interval == "month" and price.interval_count == 1

    def _seat_item(self, subscription: Subscription) -> Item:
        return subscription.items[0]

    def _leave(self, subscription: Subscription) -> None:
        self.ledger.cancel_at_period_end(subscription, self.rng.choice(_FEEDBACK))
        if self.rng.random() < 0.15:
            moment = self.timeline.now + round(
                (subscription.period_end - self.timeline.now) * self.rng.uniform(0.2, 0.8)
            )
            self.timeline.at(moment, self._stay, subscription)

    def _stay(self, subscription: Subscription) -> None:
        if subscription.cancel_at_period_end and not subscription.is_over:
            self.ledger.keep(subscription)

    def _leave_at_once(self, subscription: Subscription) -> None:
        self.ledger.cancel_now(subscription, self.rng.choice(_FEEDBACK))
        self._ask_for_refund(subscription)

    def _pause(self, subscription: Subscription) -> None:
        self.ledger.pause(subscription, self.rng.randint(1, 3))

    def _card_breaks(self, subscription: Subscription) -> None:
        """The next renewal fails; most customers mend it, some late, some never: who would rather leave lets it be."""
        if subscription.period_end > self.timeline.now + 60 * DAY:
            return
        leaving = self.leaving(subscription.customer)
        days = self.rng.choices((2, 7, 14, 34, 400), (35, 22, 13, 10 * leaving, 20 * leaving))[0]
        subscription.customer.card_fails_until = subscription.period_end + days * DAY

    def _change(
        self, subscription: Subscription, changes: Sequence[tuple[Item, Price, int]] = (), **others: Any
    ) -> None:
        """Some are asked to pay for a change at once, the others with their next invoice.

        By the subscription's own id, so that no throw of the dice moves. Stripe takes a discount into the amount of an
        item that waits and does not name it; here only those without a discount wait.
        """
        waits = subscription.discount is None and crc32(subscription.id.encode()) % 3 == 0
        self.ledger.change(subscription, changes, invoiced_at_once=not waits, **others)

    def _more_seats(self, subscription: Subscription) -> None:
        item = self._seat_item(subscription)
        if item.price.product.name == "Premium support":
            return
        more = max(1, round(item.quantity * self.rng.uniform(0.05, 0.2)))
        self._change(subscription, [(item, item.price, item.quantity + more)])

    def _fewer(self, item: Item) -> int:
        return max(1, item.quantity - max(1, round(item.quantity * self.rng.uniform(0.05, 0.2))))

    def _fewer_seats(self, subscription: Subscription) -> None:
        item = self._seat_item(subscription)
        if item.quantity > 1:
            self._change(subscription, [(item, item.price, self._fewer(item))])

    def _fewer_seats_later(self, subscription: Subscription) -> None:
        item = self._seat_item(subscription)
        if item.quantity > 1:
            self.ledger.change_at_renewal(subscription, item, item.price, self._fewer(item))

    def _upgrade(self, subscription: Subscription) -> None:
        item = self._seat_item(subscription)
        better = self.ledger.catalog.sibling(item.price, "Business")
        if item.price.product.name == "Team" and better is not None:
            self._change(subscription, [(item, better, item.quantity)])

    def _downgrade_later(self, subscription: Subscription) -> None:
        item = self._seat_item(subscription)
        cheaper = self.ledger.catalog.sibling(item.price, "Team")
        if item.price.product.name == "Business" and cheaper is not None:
            self.ledger.change_at_renewal(subscription, item, cheaper, item.quantity)

    def _add_analytics(self, subscription: Subscription) -> None:
        price = self.ledger.catalog.sibling(self._seat_item(subscription).price, "Analytics")
        if price is not None and not any(item.price is price for item in subscription.items):
            self._change(subscription, added=[(price, 1)])

    def _drop_analytics(self, subscription: Subscription) -> None:
        extra = [item for item in subscription.items[1:] if item.price.product.name == "Analytics"]
        if extra:
            self._change(subscription, removed=extra)

    def _pay_by_the_year(self, subscription: Subscription) -> None:
        item = self._seat_item(subscription)
        prices = self.ledger.catalog.prices
        yearly = {"Team": "team-year", "Business": "business-year"}.get(item.price.product.name)
        if yearly and item.price.currency == "usd" and self._is_monthly(subscription) and len(subscription.items) == 1:
            self.ledger.change(subscription, [(item, prices[yearly], item.quantity)])

    def _ask_for_discount(self, subscription: Subscription) -> None:
        if utc(subscription.anchor).day <= 28:
            self.ledger.give_coupon_at_renewal(subscription, self.ledger.catalog.coupons["STAY30"])

    def _ask_for_refund(self, subscription: Subscription) -> None:
        charge = self._last_charge(subscription)
        if charge is not None and charge.status == "succeeded" and charge.amount_refunded == 0:
            whole = self.rng.random() < 0.4
            self.ledger.refund(charge, charge.amount if whole else charge.amount // 2)

    def _last_charge(self, subscription: Subscription) -> Charge | None:
        invoice = self.ledger.invoices.get(subscription.latest_invoice or "")
        return self.ledger.charges.get(invoice.charge) if invoice is not None and invoice.charge else None

    def _buy_support(self, subscription: Subscription) -> None:
        """A second subscription of the same customer: expansion, not a new customer."""
        customer = subscription.customer
        if customer.currency == "usd" and subscription.metadata.get("support") is None:
            subscription.metadata["support"] = "yes"
            self._begin(customer, [(self.ledger.catalog.prices["support-year"], 1)], is_first=False)

    # -- returns ---------------------------------------------------------------------------------------------------

    def _ended(self, subscription: Subscription) -> None:
        if subscription.ever_paid and self.rng.random() < 0.18:
            moment = self.timeline.now + self.rng.randint(20, 200) * DAY + self.rng.randint(0, DAY)
            self.timeline.at(moment, self._return, subscription)

    def _return(self, old: Subscription) -> None:
        customer, price = old.customer, old.items[0].price
        if customer.deleted or not price.active:
            return
        customer.card_fails_until = 0
        customer.delinquent = False
        seats = max(1, round(old.items[0].quantity * self.rng.uniform(0.6, 1.1)))
        self._begin(customer, [(price, seats)], is_first=False)
