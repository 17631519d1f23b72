"""The sales people's world: deals go the way that the books say, and the customers are the billing system's."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest

from sandbox import truth_sales
from sandbox.billing.money import item_value
from sandbox.company import Company
from sandbox.crm import LOST, OPEN_STAGES, WON
from sandbox.timeline import DAY, office_time, utc

pytestmark = pytest.mark.slow  # a company is simulated for it

OPENED = int(dt.datetime(2026, 3, 16, 9, 30, tzinfo=dt.UTC).timestamp())


@pytest.fixture(scope="module")
def company():
    world = Company(seed=11, opened_at=OPENED)
    world.run(OPENED)
    return world


@pytest.fixture
def deals(company):
    return list(company.sales.crm.deals.values())


def test_a_deal_is_won_the_moment_the_subscription_starts(company, deals):
    ledger = company.ledger
    firsts = {}
    for subscription in ledger.subscriptions.values():
        firsts.setdefault(subscription.customer.id, subscription)
    won = [deal for deal in deals if deal.stage == WON]
    assert len(won) > 50
    for deal in won:
        subscription = firsts[deal.company.stripe_customer]
        assert deal.closed_at == subscription.created
        assert deal.company.name == subscription.customer.name
        assert subscription.customer.email in {contact.email for contact in deal.contacts}


def test_a_won_deal_is_worth_a_year_of_what_the_customer_begins_with(fresh_sale):
    deal, subscription = fresh_sale
    assert deal.amount == 12 * sum(item_value(item, subscription.discount) for item in subscription.items)
    assert deal.currency == subscription.currency


@pytest.fixture
def fresh_sale(company):
    """The newest sale of a small world, looked at in the moment in which it happened."""
    world = Company(seed=12, opened_at=OPENED, scale=0.1)
    seen = []
    tell = world.market.on_sale

    def sold(prospect, subscription):
        tell(prospect, subscription)
        deal = next(d for d in reversed(world.sales.crm.deals.values()) if d.company.name == prospect.name)
        seen.append((deal, subscription))

    world.market.on_sale = sold
    while not seen:
        world.run(world.now + DAY)
    return seen[0]


def test_every_customer_is_a_company_with_people(company):
    crm = company.sales.crm
    for customer in company.ledger.customers.values():
        found = crm.by_domain[customer.email.partition("@")[2]]
        assert found.stripe_customer == customer.id
        assert found.name == customer.name
    assert all(
        contact.email.endswith(f"@{contact.company.domain}") for contact in crm.contacts.values() if contact.company
    )


def test_win_rate_and_cycle_are_those_of_such_a_company(company):
    assert 0.2 < truth_sales.win_rate(company, company.start, company.now) < 0.3
    assert 25 < truth_sales.sales_cycle_days(company, company.start, company.now) < 36
    assert truth_sales.win_rate(company, company.now + DAY, company.now + 2 * DAY) is None
    assert truth_sales.sales_cycle_days(company, company.now + DAY, company.now + 2 * DAY) is None


def test_the_deals_move_as_the_book_says(company, deals):
    history = truth_sales.stage_history(company)
    assert set(history) == {deal.id for deal in deals}
    for deal in deals:
        stays = history[deal.id]
        assert [(stay.stage, stay.entered_at) for stay in deal.history] == stays
        assert stays[0] == (OPEN_STAGES[0], deal.created_at)
        assert all(earlier < later for (_, earlier), (_, later) in pairwise(stays))
        assert (deal.closed_at is not None) == (deal.stage in (WON, LOST))
        assert all(stage != WON for stage, _ in stays[:-1])


def test_months_of_the_pipeline_add_up_to_its_deals(company):
    months = truth_sales.velocity(company, rates=lambda currency, day: Decimal(1))
    closed = truth_sales.closed_deals(company, 0, company.now + 1)
    assert sum(month.won + month.lost for month in months) == len(closed)
    assert months[-1].open == len(truth_sales.stage_history(company)) - len(closed) - sum(
        deal.archived_at is not None for deal in company.sales.crm.deals.values()
    )
    assert all((month.per_day is None) == (month.won == 0) for month in months)


def test_every_deal_enters_each_stage_once_and_some_jump_over_one(company, deals):
    cohorts = truth_sales.stage_conversion(company)
    first = sum(each.entered for (_, stage), each in cohorts.items() if stage == OPEN_STAGES[0])
    assert first == sum(deal.archived_at is None for deal in deals)
    assert all(each.skipped_next <= each.moved_on <= each.entered - each.undecided for each in cohorts.values())
    assert sum(each.skipped_next for each in cohorts.values()) > 10


def test_deals_are_open_reopened_and_moved_back(company, deals):
    assert sum(deal.closed_at is None for deal in deals) > 8
    ways = [[stay.stage for stay in deal.history] for deal in deals]
    assert sum(LOST in way[:-1] for way in ways) > 5
    back = sum(
        any(
            earlier in OPEN_STAGES and later in OPEN_STAGES and OPEN_STAGES.index(later) < OPEN_STAGES.index(earlier)
            for earlier, later in pairwise(way)
        )
        for way in ways
    )
    assert back > 5


def test_people_are_merged_and_deleted_and_hand_over_their_work(company):
    crm = company.sales.crm
    assert crm.merged_into
    assert all(kept in crm.contacts for kept in set(crm.merged_into.values()) - set(crm.merged_into))
    assert not set(crm.merged_into) & set(crm.contacts)
    assert any(contact.archived_at for contact in crm.contacts.values())
    (left,) = [owner for owner in crm.owners.values() if owner.archived]
    assert not any(deal.owner is left for deal in crm.deals.values() if deal.archived_at is None)
    handed_over = Counter(record.updated_at for record in crm.companies.values())[left.updated_at]
    assert handed_over > 10


def test_tickets_belong_to_customers_and_most_are_done(company):
    tickets = list(company.sales.crm.tickets.values())
    assert all(ticket.company.stripe_customer and ticket.contact.company is ticket.company for ticket in tickets)
    done = [ticket for ticket in tickets if ticket.stage == "4"]
    assert 0.8 < len(done) / len(tickets) < 1
    assert all(ticket.closed_at > ticket.created_at for ticket in done)


def test_the_same_seed_gives_the_same_sales_in_one_step_or_in_many():
    one = Company(seed=3, opened_at=OPENED, scale=0.1)
    one.run(OPENED + 20 * DAY)
    many = Company(seed=3, opened_at=OPENED, scale=0.1)
    for day in range(21):
        many.run(OPENED + day * DAY)
    assert many.sales.book == one.sales.book
    assert list(many.sales.crm.contacts) == list(one.sales.crm.contacts)
    assert [t.stage for t in many.sales.crm.tickets.values()] == [t.stage for t in one.sales.crm.tickets.values()]


def test_sales_people_close_deals_on_working_days(deals):
    assert all(utc(deal.closed_at).weekday() < 5 for deal in deals if deal.stage == WON)


def test_nobody_works_at_night_or_on_weekends():
    friday_evening = int(dt.datetime(2026, 3, 13, 20, 0, tzinfo=dt.UTC).timestamp())
    for hours in range(200):
        moment = friday_evening + hours * 3600
        worked = office_time(moment)
        assert worked >= moment
        assert utc(worked).weekday() < 5
        assert 8 <= utc(worked).hour < 18
