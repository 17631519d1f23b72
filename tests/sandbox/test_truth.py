"""The truth about the numbers: it adds up, it is what the story says, and it fits what the company checks."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

from sandbox import truth, truth_usage
from sandbox.clock import open_world
from sandbox.company import Company
from sandbox.timeline import DAY, HOUR, utc
from tests.sandbox.conftest import MONDAY


def to_usd(currency: str, day: dt.date) -> Decimal:
    """Rates of our own that change with every month."""
    return {"usd": Decimal(1), "eur": Decimal("1.05"), "gbp": Decimal("1.25")}[currency] + (
        Decimal(day.month) / 100 if currency != "usd" else 0
    )


@pytest.mark.parametrize("rates", [None, to_usd])
def test_movements_lead_from_day_to_day_for_every_customer(company, rates):
    worth = defaultdict(Decimal)
    for event in truth.movements(company, rates=rates):
        assert event.mrr_before == worth[event.customer_id]
        assert event.mrr_after == event.mrr_before + event.mrr_change
        worth[event.customer_id] = event.mrr_after
    today = truth.mrr_on(company, utc(company.now).date(), rates=rates)
    assert today == {customer: value for customer, value in worth.items() if value}


@pytest.mark.parametrize("rates", [None, to_usd])
def test_months_add_up(company, rates):
    rows = truth.monthly(company, rates=rates)
    last = {}
    for row in rows:
        parts = (
            row.new_mrr + row.expansion_mrr + row.contraction_mrr + row.churned_mrr + row.reactivated_mrr + row.fx_mrr
        )
        assert row.start_mrr + parts == row.mrr
        assert row.start_mrr == last.get(row.currency, 0)
        last[row.currency] = row.mrr
    assert len({row.month for row in rows}) == 25
    assert {row.currency for row in rows} == ({"usd"} if rates else {"usd", "eur", "gbp"})


def test_every_kind_of_movement_happens(company):
    kinds = {event.event_type for event in truth.movements(company, rates=to_usd)}
    assert kinds == set(truth.MOVEMENTS)
    for event in truth.movements(company):
        assert (event.mrr_change > 0) == (event.event_type in {"new", "expansion", "reactivation"})


def test_a_customer_is_new_once_and_returns_only_after_churn(company):
    history = defaultdict(list)
    for event in truth.movements(company):
        history[event.customer_id].append(event)
    for events in history.values():
        assert [e.event_type for e in events].count("new") == 1
        assert events[0].event_type == "new"
        for earlier, later in pairwise(events):
            assert (later.event_type == "reactivation") == (earlier.event_type == "churn")


def test_a_discount_that_ends_with_a_period_is_one_change_at_the_new_rate():
    company = Company(seed=2, opened_at=MONDAY, scale=0.05)
    catalog, ledger = company.catalog, company.ledger
    customer = ledger.create_customer(name="A", email="a@a.example", currency="eur", country="DE", has_card=True)
    ledger.subscribe(customer, [(catalog.prices["team-month-eur"], 10)], coupon=catalog.coupons["LAUNCH50"])
    company.run(company.start + 100 * DAY)
    mine = [e for e in truth.movements(company, rates=to_usd) if e.customer_id == customer.id]
    assert [(e.event_type, e.mrr_change) for e in mine][-2:] == [
        ("fx", Decimal(115) * (to_usd("eur", mine[-1].event_date) - to_usd("eur", mine[-3].event_date))),
        ("expansion", Decimal(115) * to_usd("eur", mine[-1].event_date)),
    ]


def test_without_rates_nothing_is_called_fx(company):
    assert "fx" not in {event.event_type for event in truth.movements(company)}


def test_the_truth_of_today_is_what_the_ledger_holds(company):
    held = defaultdict(int)
    for subscription in company.ledger.subscriptions.values():
        held[subscription.customer.id] += company.book.value(subscription)
    today = truth.mrr_on(company, utc(company.now).date())
    assert today == {customer: Decimal(value) / 100 for customer, value in held.items() if value}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 42])
@pytest.mark.parametrize("opened", ["2026-01-31T23:50", "2026-11-22T12:00"])
def test_every_seed_tells_the_same_story(seed, opened):
    moment = int(dt.datetime.fromisoformat(opened).replace(tzinfo=dt.UTC).timestamp())
    company = Company(seed=seed, opened_at=moment)
    company.run(moment)
    months = [row.mrr for row in truth.monthly(company, rates=to_usd)]
    assert 150_000 < months[0] < 175_000
    assert 160_000 < months[-1] < 205_000
    assert 155_000 < sum(months) / len(months) < 200_000


def test_the_companys_checks_hold_at_any_time(company):
    ledger = company.ledger
    assert {s.status for s in ledger.subscriptions.values()} <= {"active", "past_due", "canceled", "trialing", "paused"}
    assert {i.currency for i in ledger.invoices.values()} == {"usd", "eur", "gbp"}
    assert min(i.amount_paid for i in ledger.invoices.values()) == 0
    for records in (ledger.subscriptions, ledger.invoices):
        moments = [r.created for r in records.values() if r.created > MONDAY - 20 * DAY] + [company.now]
        assert max(b - a for a, b in pairwise(moments)) < 2 * HOUR


@pytest.mark.slow
def test_the_same_seed_gives_the_same_world_in_one_step_or_in_many(company):
    other = Company(seed=11, opened_at=MONDAY, scale=1)
    for day in range(0, 900, 7):
        other.run(min(MONDAY, other.start + day * DAY))
    other.run(MONDAY)
    assert truth.movements(other) == truth.movements(company)
    assert list(other.ledger.invoices) == list(company.ledger.invoices)
    assert list(other.journal.events) == list(company.journal.events)
    assert truth_usage.adoptions(other) == truth_usage.adoptions(company)
    for name in ("moments", "users", "features"):
        assert getattr(other.product.uses, name) == getattr(company.product.uses, name)


@pytest.mark.slow
def test_another_seed_gives_another_world():
    one, other = (Company(seed=seed, opened_at=MONDAY, scale=0.2) for seed in (11, 12))
    for each in (one, other):
        each.run(MONDAY)
    assert truth.movements(other) != truth.movements(one)


@pytest.mark.slow
def test_scale_makes_more_customers_of_the_same_size_of_company():
    small, large = (Company(seed=3, opened_at=MONDAY, scale=scale) for scale in (0.5, 2))
    for company in (small, large):
        company.run(MONDAY)
    assert len(large.ledger.invoices) > 3 * len(small.ledger.invoices)
    ends = [truth.monthly(company, rates=to_usd)[-1].mrr for company in (small, large)]
    assert all(150_000 < end < 220_000 for end in ends)
    with pytest.raises(ValueError, match="above 0"):
        Company(seed=3, opened_at=MONDAY, scale=0)


@pytest.mark.slow
def test_rows_grow_with_the_scale_and_beyond_one_company_the_money_too():
    opened = int(dt.datetime(2026, 3, 16, tzinfo=dt.UTC).timestamp())
    rows, money = [], []
    for scale in (1, 5):
        company = Company(seed=6, opened_at=opened, scale=scale)
        company.run(opened)
        pulls = sum(len(repository.pulls) for repository in company.engineering.repositories.values())
        counts = (company.ledger.customers, company.ledger.invoices, company.product.uses)
        rows.append([*map(len, counts), pulls])
        money.append(truth.monthly(company, rates=to_usd)[-1].mrr)
    assert all(4 < large / small < 6 for small, large in zip(*rows, strict=True)), rows
    assert 1.1 < money[1] / money[0] < 1.5


@pytest.mark.slow
def test_the_command_prints_the_truth_as_json(tmp_path):
    world = open_world(tmp_path, seed=4, scale=0.1, freeze=True, now=MONDAY)
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "truth", "--data-dir", str(tmp_path), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    company = Company(seed=world.seed, opened_at=world.opened_at, scale=world.scale)
    company.run(MONDAY)
    told = {**truth.as_json(company), "usage": truth_usage.as_json(company)}
    assert json.loads(done.stdout) == json.loads(json.dumps(told))
