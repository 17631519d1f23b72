"""The mechanics of billing, one customer at a time: lines, prorations, discounts, payments, and what is true of them."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from sandbox.billing.book import TruthBook
from sandbox.billing.catalog import Catalog
from sandbox.billing.ledger import Ledger
from sandbox.billing.models import Customer, Invoice, Subscription
from sandbox.ids import Ids
from sandbox.timeline import DAY, HOUR, Timeline, day_of

START = int(dt.datetime(2025, 1, 10, 12, tzinfo=dt.UTC).timestamp())


class Shop:
    """A ledger with one customer and a clock that a test moves."""

    def __init__(self) -> None:
        self.timeline = Timeline(START, START)
        ids = Ids(1)
        self.catalog = Catalog(ids, START - 100)
        self.book = TruthBook()
        self.events: list[str] = []
        self.ledger = Ledger(
            self.timeline, ids, random.Random(1), self.catalog, self.book, lambda kind, record: self.events.append(kind)
        )
        self.customer = self.new_customer()

    def new_customer(self, *, currency: str = "usd", has_card: bool = True) -> Customer:
        return self.ledger.create_customer(
            name="Amber Foods", email="a@amber.example", currency=currency, country="US", has_card=has_card
        )

    def subscribe(self, price: str, quantity: int = 1, customer: Customer | None = None, **options) -> Subscription:
        if coupon := options.pop("coupon", None):
            options["coupon"] = self.catalog.coupons[coupon]
        wanted = [(self.catalog.prices[price], quantity)]
        return self.ledger.subscribe(customer or self.customer, wanted, **options)

    def until(self, days: float = 0, hours: float = 0) -> None:
        """Go to so many days and hours after the start."""
        self.timeline.run(START + round(days * DAY + hours * HOUR))

    def last(self, subscription: Subscription) -> Invoice:
        assert subscription.latest_invoice is not None
        return self.ledger.invoices[subscription.latest_invoice]

    def story(self) -> list[tuple[str, int, str]]:
        """What the truth book says: (day, value, why)."""
        return [(day_of(e.moment).isoformat(), e.value, e.why) for e in self.book.entries]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize(
    ("price", "seats", "monthly"),
    [
        ("team-month", 4, 10000),
        ("team-quarter", 2, 4800),
        ("team-year", 7, 15167),
        ("business-half", 1, 4167),
        ("support-year", 1, 16667),
        ("team-week", 3, 13000),
        ("api-month", 1, 0),
        ("free", 1, 0),
    ],
)
def test_every_rhythm_is_brought_to_a_month(shop, price, seats, monthly):
    assert shop.book.value(shop.subscribe(price, seats)) == monthly


def test_a_first_invoice_is_paid_at_once_and_a_renewal_an_hour_after_the_period(shop):
    subscription = shop.subscribe("team-month", 4)
    first = shop.last(subscription)
    assert (first.status, first.billing_reason, first.amount_paid) == ("paid", "subscription_create", 10000)
    assert [(li.amount, li.quantity, li.proration, li.period_start) for li in first.lines] == [(10000, 4, False, START)]
    shop.until(31)
    second = shop.last(subscription)
    assert (second.status, second.billing_reason) == ("draft", "subscription_cycle")
    assert (second.period_start, second.period_end) == (START, START + 31 * DAY)
    assert (second.lines[0].period_start, second.lines[0].period_end) == (START + 31 * DAY, START + 59 * DAY)
    shop.until(31, hours=1)
    assert second.status == "paid"
    assert shop.story() == [("2025-01-10", 10000, "change")]


def test_an_upgrade_in_mid_period_credits_and_charges_the_rest(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.until(15.5)
    item = subscription.items[0]
    invoice = shop.ledger.change(subscription, [(item, shop.catalog.prices["business-month"], 6)])
    assert [(li.amount, li.quantity, li.proration, li.item) for li in invoice.lines] == [
        (-5000, 4, True, item.id),
        (13500, 6, True, item.id),
    ]
    assert invoice.lines[0].credits is not None
    assert (invoice.billing_reason, invoice.total, invoice.status) == ("subscription_update", 8500, "paid")
    assert shop.story() == [("2025-01-10", 10000, "change"), ("2025-01-26", 27000, "change")]
    shop.until(31, hours=1)
    assert [(li.amount, li.proration) for li in shop.last(subscription).lines] == [(27000, False)]


def test_a_downgrade_becomes_credit_that_the_next_invoice_uses(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.until(15.5)
    item = subscription.items[0]
    invoice = shop.ledger.change(subscription, [(item, item.price, 2)])
    assert (invoice.total, invoice.amount_due, invoice.amount_paid, invoice.status) == (-2500, 0, 0, "paid")
    assert (invoice.starting_balance, invoice.ending_balance, shop.customer.balance) == (0, -2500, -2500)
    assert invoice.charge is None
    shop.until(31, hours=1)
    renewal = shop.last(subscription)
    assert (renewal.total, renewal.amount_due, renewal.amount_paid) == (5000, 2500, 2500)
    assert (renewal.starting_balance, renewal.ending_balance, shop.customer.balance) == (-2500, 0, 0)


def test_a_change_of_rhythm_begins_a_new_period(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.until(15.5)
    item = subscription.items[0]
    invoice = shop.ledger.change(subscription, [(item, shop.catalog.prices["team-year"], 4)])
    assert [(li.amount, li.proration) for li in invoice.lines] == [(-5000, True), (104000, False)]
    assert subscription.period_start == shop.timeline.now
    shop.until(40)
    assert shop.last(subscription) is invoice
    assert shop.story()[-1] == ("2025-01-26", 8667, "change")


def test_an_item_added_and_removed_in_mid_period(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.until(15.5)
    added = shop.ledger.change(subscription, added=[(shop.catalog.prices["analytics-month"], 1)])
    assert [(li.amount, li.proration) for li in added.lines] == [(4950, True)]
    removed = shop.ledger.change(subscription, removed=[subscription.items[1]])
    assert [(li.amount, li.proration) for li in removed.lines] == [(-4950, True)]
    assert [value for _, value, _ in shop.story()] == [10000, 19900, 10000]


def test_what_is_put_off_to_the_renewal_changes_then(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.until(10)
    shop.ledger.change_at_renewal(subscription, subscription.items[0], subscription.items[0].price, 3)
    shop.until(32)
    assert shop.story() == [("2025-01-10", 10000, "change"), ("2025-02-10", 7500, "change")]
    assert [li.proration for li in shop.last(subscription).lines] == [False]


def test_a_discount_for_three_months_halves_three_invoices(shop):
    subscription = shop.subscribe("team-month", 4, coupon="LAUNCH50")
    shop.until(100)
    paid = [(i.subtotal, i.discount_total, i.amount_paid) for i in shop.ledger.invoices.values()]
    assert paid == [(10000, 5000, 5000)] * 3 + [(10000, 0, 10000)]
    assert shop.story() == [("2025-01-10", 5000, "change"), ("2025-04-10", 10000, "change")]
    assert subscription.discount is None


def test_a_discount_for_one_invoice_is_not_recurring(shop):
    shop.subscribe("team-month", 4, coupon="WELCOME20")
    shop.until(40)
    assert [i.amount_paid for i in shop.ledger.invoices.values()] == [8000, 10000]
    assert shop.story() == [("2025-01-10", 10000, "change")]


def test_a_fixed_amount_off_lowers_every_invoice(shop):
    shop.subscribe("team-month", 4, coupon="FRIEND50")
    shop.until(40)
    assert [i.amount_paid for i in shop.ledger.invoices.values()] == [5000, 5000]
    assert shop.story() == [("2025-01-10", 5000, "change")]


def test_proration_of_a_discounted_item_credits_what_was_paid(shop):
    subscription = shop.subscribe("team-month", 4, coupon="NONPROFIT25")
    shop.until(15.5)
    item = subscription.items[0]
    credit, rest = shop.ledger.change(subscription, [(item, item.price, 8)]).lines
    assert (credit.amount, credit.discount_amount) == (-3750, 0)
    assert (rest.amount, rest.discount_amount) == (10000, 2500)
    assert shop.story()[-1][1] == 15000


def test_a_trial_is_worth_nothing_until_its_first_invoice_is_paid(shop):
    subscription = shop.subscribe("team-month", 4, trial_days=14)
    first = shop.last(subscription)
    assert (subscription.status, first.total, first.status, first.charge) == ("trialing", 0, "paid", None)
    assert first.lines[0].period_end == START + 14 * DAY
    shop.until(14, hours=1)
    assert subscription.status == "active"
    assert shop.story() == [("2025-01-24", 10000, "change")]


def test_a_trial_whose_payment_fails_converts_when_it_is_paid(shop):
    shop.customer.card_fails_until = START + 16 * DAY
    subscription = shop.subscribe("team-month", 4, trial_days=14)
    shop.until(16)
    assert (subscription.status, shop.story()) == ("past_due", [])
    shop.until(18)
    assert (subscription.status, shop.story()) == ("active", [("2025-01-27", 10000, "change")])


@pytest.mark.parametrize(("missing", "status"), [("cancel", "canceled"), ("pause", "paused")])
def test_a_trial_without_a_card_ends_as_agreed(shop, missing, status):
    customer = shop.new_customer(has_card=False)
    subscription = shop.subscribe("team-month", 4, customer, trial_days=14, missing_payment_method=missing)
    shop.until(60)
    assert (subscription.status, shop.story(), len(shop.ledger.invoices)) == (status, [], 1)


def test_a_late_payer_counts_all_the_time(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.customer.card_fails_until = START + 38 * DAY
    shop.until(32)
    invoice = shop.last(subscription)
    assert (subscription.status, invoice.status, shop.customer.delinquent) == ("past_due", "open", True)
    assert shop.ledger.charges[invoice.charge].status == "failed"
    shop.until(40)
    assert (subscription.status, invoice.status, shop.customer.delinquent) == ("active", "paid", False)
    assert invoice.attempt_count == 3
    assert shop.story() == [("2025-01-10", 10000, "change")]


def test_after_thirty_days_past_due_it_is_churn_and_paying_brings_it_back(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.customer.card_fails_until = START + 64 * DAY
    shop.until(70)
    assert subscription.status == "active"
    assert {i.status for i in shop.ledger.invoices.values()} == {"paid"}
    assert shop.story() == [
        ("2025-01-10", 10000, "change"),
        ("2025-03-12", 0, "churn"),
        ("2025-03-17", 10000, "change"),
    ]


def test_the_company_gives_up_after_six_weeks(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.customer.card_fails_until = START + 400 * DAY
    shop.until(90)
    assert (subscription.status, subscription.cancel_reason) == ("canceled", "payment_failed")
    assert day_of(subscription.ended_at).isoformat() == "2025-03-24"
    assert [i.status for i in shop.ledger.invoices.values()] == ["paid", "uncollectible", "uncollectible"]
    assert shop.story()[-1] == ("2025-03-12", 0, "churn")


def test_cancelling_is_churn_when_the_period_is_used_up(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.until(5)
    shop.ledger.cancel_at_period_end(subscription, "unused")
    assert (subscription.status, subscription.cancel_at) == ("active", START + 31 * DAY)
    shop.until(40)
    assert (subscription.status, subscription.ended_at) == ("canceled", START + 31 * DAY)
    assert shop.story() == [("2025-01-10", 10000, "change"), ("2025-02-10", 0, "churn")]
    assert len(shop.ledger.invoices) == 1


def test_whoever_stays_after_all_is_charged_again(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.ledger.cancel_at_period_end(subscription, "unused")
    shop.until(5)
    shop.ledger.keep(subscription)
    shop.until(40)
    assert (subscription.status, subscription.canceled_at, len(shop.ledger.invoices)) == ("active", None, 2)


def test_a_pause_voids_invoices_from_the_next_period_on(shop):
    subscription = shop.subscribe("team-month", 4)
    shop.until(10)
    shop.ledger.pause(subscription, 2)
    shop.until(100)
    assert [i.status for i in shop.ledger.invoices.values()] == ["paid", "void", "void", "paid"]
    assert (subscription.status, subscription.pause_behavior) == ("active", None)
    assert shop.story() == [
        ("2025-01-10", 10000, "change"),
        ("2025-02-10", 0, "pause"),
        ("2025-04-10", 10000, "change"),
    ]


def test_metered_and_one_off_lines_are_charged_and_worth_nothing(shop):
    prices = shop.catalog.prices
    subscription = shop.ledger.subscribe(
        shop.customer, [(prices["team-month"], 4), (prices["api-month"], 1)], one_off=prices["onboarding"]
    )
    first = shop.last(subscription)
    assert [(li.amount, li.invoice_item is not None) for li in first.lines] == [(10000, False), (150000, True)]
    shop.until(31, hours=1)
    licensed, metered = shop.last(subscription).lines
    assert (licensed.period_start, metered.period_start) == (START + 31 * DAY, START)
    assert metered.amount == round(metered.quantity / 5)
    assert shop.story() == [("2025-01-10", 10000, "change")]


def test_a_refund_changes_the_charge_and_nothing_else(shop):
    subscription = shop.subscribe("team-month", 4)
    charge = shop.ledger.charges[shop.last(subscription).charge]
    shop.ledger.refund(charge, 4000)
    shop.ledger.refund(charge, 6000)
    assert (charge.amount_refunded, len(shop.ledger.refunds)) == (10000, 2)
    assert shop.story() == [("2025-01-10", 10000, "change")]


def test_tax_comes_on_top_and_is_never_worth_anything(shop):
    customer = shop.new_customer(currency="eur")
    subscription = shop.subscribe("team-month-eur", 10, customer, coupon="NONPROFIT25")
    invoice = shop.last(subscription)
    assert (invoice.subtotal, invoice.discount_total, invoice.tax, invoice.total) == (23000, 5750, 3450, 20700)
    assert shop.book.value(subscription) == 17250


def test_events_tell_what_happened_in_order(shop):
    subscription = shop.subscribe("team-month", 4)
    assert shop.events == [
        "customer.created",
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "charge.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]
    shop.events.clear()
    shop.ledger.cancel_now(subscription, "other")
    assert shop.events == ["customer.subscription.deleted"]
