"""Histories nobody thought of: what customers do at random, billed as Stripe bills, read by dbt, against the truth.

Each example is one company of many such customers and one build, because a build costs seconds and a customer nothing.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from portal.truth_questions import rate
from sandbox import truth
from sandbox.billing.models import Subscription
from sandbox.company import Company
from sandbox.timeline import DAY, HOUR
from tests.dbt.helpers import STRIPE, Warehouse, problems
from tests.dbt.sandbox_rows import load_by_file, stripe_rows

pytestmark = pytest.mark.slow

OPENED = int(dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC).timestamp())
CUSTOMERS = 80
PLANS = {
    "usd": (
        "free",
        "team-week",
        "team-month",
        "team-quarter",
        "team-year",
        "business-month",
        "business-half",
        "business-year",
    ),
    "eur": ("team-month-eur", "team-year-eur", "business-month-eur"),
    "gbp": ("team-month-gbp", "business-month-gbp"),
}
COUPONS = (None, None, "WELCOME20", "LAUNCH50", "STAY30", "NONPROFIT25")

seats = st.integers(1, 40)
actions = st.one_of(
    st.tuples(st.just("seats"), seats),
    st.tuples(st.just("seats at renewal"), seats),
    st.tuples(st.just("plan"), st.integers(0, 7)),
    st.tuples(st.just("plan and seats"), st.integers(0, 7), seats),
    st.tuples(st.just("coupon at renewal"), st.sampled_from(["LAUNCH50", "STAY30", "NONPROFIT25"])),
    st.tuples(st.just("add")),
    st.tuples(st.just("drop")),
    st.tuples(st.just("pause"), st.integers(1, 3)),
    st.tuples(st.just("card breaks"), st.sampled_from([2, 7, 20, 29, 31, 45, 400])),
    st.tuples(st.just("leave at the end")),
    st.tuples(st.just("stay")),
    st.tuples(st.just("leave now")),
    st.tuples(st.just("subscribe"), st.integers(0, 7), seats, st.sampled_from(COUPONS), st.sampled_from([0, 0, 14])),
)
histories = st.fixed_dictionaries(
    {
        "currency": st.sampled_from(["usd", "usd", "eur", "gbp"]),
        "start": st.tuples(st.integers(0, 300), st.integers(0, 23)),  # days and hours, so also month ends and midnights
        "first": st.tuples(
            st.just("subscribe"), st.integers(0, 7), seats, st.sampled_from(COUPONS), st.sampled_from([0, 0, 14])
        ),
        "then": st.lists(st.tuples(st.integers(0, 70), st.integers(1, 23), actions), max_size=8),
    }
)


class Story:
    """One customer who does what was drawn, as far as it can be done at that moment."""

    def __init__(self, company: Company, number: int, drawn: dict[str, Any]) -> None:
        self.company, self.ledger = company, company.ledger
        self.number, self.currency = number, drawn["currency"]
        self.steps = [(0, 0, drawn["first"]), *drawn["then"]]
        self.subscriptions: list[Subscription] = []
        day, hour = drawn["start"]
        company.timeline.at(company.start + DAY + day * DAY + hour * HOUR, self.next)

    def next(self) -> None:
        if not self.subscriptions:
            self.customer = self.ledger.create_customer(
                name=f"Customer {self.number}", email=f"c{self.number}@example.com", currency=self.currency,
                country="US", has_card=True,
            )  # fmt: skip
        _, _, (kind, *values) = self.steps.pop(0)
        getattr(self, f"_{kind.replace(' ', '_')}")(*values)
        if self.steps:
            days, hours, _ = self.steps[0]
            self.company.timeline.at(self.company.now + days * DAY + hours * HOUR, self.next)

    @property
    def settled(self) -> Subscription | None:
        alive = [each for each in self.subscriptions if self.company.market._is_settled(each)]
        return alive[-1] if alive else None

    def _price(self, number: int) -> Any:
        plans = PLANS[self.currency]
        return self.ledger.catalog.prices[plans[number % len(plans)]]

    def _subscribe(self, plan: int, count: int, coupon: str | None, trial: int) -> None:
        price = self._price(plan)
        given_coupon = self.ledger.catalog.coupons[coupon] if coupon and price.unit_amount else None
        self.subscriptions.append(
            self.ledger.subscribe(self.customer, [(price, count)], coupon=given_coupon, trial_days=trial)
        )

    def _seats(self, count: int) -> None:
        if (found := self.settled) and found.items[0].quantity != count:
            self.ledger.change(found, [(found.items[0], found.items[0].price, count)])

    def _seats_at_renewal(self, count: int) -> None:
        if found := self.settled:
            self.ledger.change_at_renewal(found, found.items[0], found.items[0].price, count)

    def _plan(self, plan: int) -> None:
        if found := self.settled:
            self._plan_and_seats(plan, found.items[0].quantity)

    def _plan_and_seats(self, plan: int, count: int) -> None:
        found, price = self.settled, self._price(plan)
        if found and len(found.items) == 1 and price is not found.items[0].price and found.discount is None:
            self.ledger.change(found, [(found.items[0], price, count)])

    def _coupon_at_renewal(self, coupon: str) -> None:
        if (found := self.settled) and found.discount is None:
            self.ledger.give_coupon_at_renewal(found, self.ledger.catalog.coupons[coupon])

    def _add(self) -> None:
        if (found := self.settled) and len(found.items) == 1:
            price = self.ledger.catalog.sibling(found.items[0].price, "Analytics")
            if price is not None:
                self.ledger.change(found, added=[(price, 1)])

    def _drop(self) -> None:
        if (found := self.settled) and len(found.items) > 1:
            self.ledger.change(found, removed=found.items[1:])

    def _pause(self, periods: int) -> None:
        if (found := self.settled) and self.company.market._is_monthly(found):
            self.ledger.pause(found, periods)

    def _card_breaks(self, days: int) -> None:
        if (found := self.settled) and found.period_end < self.company.now + 60 * DAY:
            self.customer.card_fails_until = found.period_end + days * DAY

    def _leave_at_the_end(self) -> None:
        if found := self.settled:
            self.ledger.cancel_at_period_end(found, "unused")

    def _stay(self) -> None:
        for each in self.subscriptions:
            if each.cancel_at_period_end and not each.is_over:
                self.ledger.keep(each)

    def _leave_now(self) -> None:
        paused = [each for each in self.subscriptions if each.pause_behavior and not each.is_over]
        if found := paused[-1] if paused else self.settled:
            self.ledger.cancel_now(found, "unused")


@settings(
    max_examples=4,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(histories, min_size=CUSTOMERS, max_size=CUSTOMERS))
def test_whatever_customers_do_mrr_is_the_true_one(drawn: list[dict[str, Any]]) -> None:
    company = Company(seed=11, opened_at=OPENED, scale=0.01)
    stories = [Story(company, number, each) for number, each in enumerate(drawn)]
    company.run(OPENED)
    told = {story.customer.id: drawn[story.number] for story in stories if story.subscriptions}
    assert len(told) == CUSTOMERS

    with tempfile.TemporaryDirectory() as folder:
        moment = dt.datetime.fromtimestamp(company.now, dt.UTC)
        warehouse = Warehouse(Path(folder), STRIPE, {"as_of": f"{moment:%Y-%m-%d %H:%M:%S}"})
        load_by_file(warehouse.path, stripe_rows(company), Path(folder))
        assert problems(warehouse.build()) == []
        ours = _by_customer(
            warehouse.rows("select customer_id, event_date, event_type, mrr_change from mart_finance.mrr_events")
        )
    theirs = _by_customer(
        [(m.customer_id, m.event_date, m.event_type, m.mrr_change) for m in truth.movements(company, rates=rate)]
    )
    wrong = {
        customer: {"history": told.get(customer), "true": theirs.get(customer), "ours": ours.get(customer)}
        for customer in {**ours, **theirs}
        if ours.get(customer) != theirs.get(customer)
    }
    assert not wrong, f"{len(wrong)} of {len(told)}: {next(iter(wrong.values()))}"


def _by_customer(rows: list[tuple[Any, ...]]) -> dict[str, list[tuple[dt.date, str, Decimal]]]:
    found: dict[str, list[tuple[dt.date, str, Decimal]]] = defaultdict(list)
    for customer, *rest in rows:
        found[customer].append(tuple(rest))
    return {customer: sorted(each) for customer, each in found.items()}
