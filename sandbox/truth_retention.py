"""Ground truth of keeping customers and their money: the rates of each month, and what became of each cohort.

Everything follows from the true movements (``sandbox.truth``); trials from what the ledger did with them.

- Whoever was won and not lost is a customer, paused or not. The opening cohort of a month is the customers at its start.
- NRR: (start + expansion - contraction - churn) ÷ start of the opening cohort; GRR without the expansion, and nobody
  loses more than it began the month with.
- Customer churn: lost ÷ customers at the start; Stripe's reading: ÷ (start + new).
- A cohort is the customers first won in a month. What it was when they were won is its 100 %.
- A trial ended when its time was over or the customer left before; it converted if the subscription was ever worth something.

Shares are rounded to six decimals, money to cents, halves away from zero; None when there is nothing to divide by.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from sandbox.company import Company
from sandbox.timeline import day_of
from sandbox.truth import Movement, Rates, movements

CENT, MILLIONTH = Decimal("0.01"), Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class MonthRates:
    """The rates of one month; ``customers`` and what follows from ``mrr`` are those at its end."""

    month: dt.date
    start_customers: int
    customers: int
    lost_customers: int
    customer_churn: Decimal | None
    customer_churn_stripe: Decimal | None
    gross_mrr_churn: Decimal | None
    net_mrr_churn: Decimal | None
    nrr: Decimal | None
    grr: Decimal | None
    quick_ratio: Decimal | None
    arpa: Decimal | None
    ltv: Decimal | None
    trials_ended: int
    trials_converted: int


@dataclass(frozen=True, slots=True)
class Cell:
    """What is left of a cohort so many months after it was won."""

    cohort_month: dt.date
    months_since: int
    customers: int
    mrr: Decimal


@dataclass(slots=True)
class _Account:
    is_customer: bool = False
    mrr: Decimal = Decimal(0)


def month_rates(company: Company, *, rates: Rates | None = None) -> list[MonthRates]:
    """Every month from the first movement to now, for all customers in one currency."""
    trials = _trials(company)
    rows = []
    for month, before, moves, after in _by_month(company, rates):
        sums: dict[str, Decimal] = defaultdict(Decimal)
        opening = {customer: account.mrr for customer, account in before.items() if account.is_customer}
        grown, lost = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
        for move in moves:
            sums[move.event_type] += move.mrr_change
            if move.event_type == "expansion":
                grown[move.customer_id] += move.mrr_change
            elif move.event_type in ("contraction", "churn"):
                lost[move.customer_id] -= move.mrr_change
        start = sum((account.mrr for account in before.values()), Decimal(0))
        mrr = sum((account.mrr for account in after.values()), Decimal(0))
        kept = sum((mrr - min(mrr, lost[customer]) for customer, mrr in opening.items()), Decimal(0))
        grown_too = sum((mrr + grown[customer] - lost[customer] for customer, mrr in opening.items()), Decimal(0))
        new = sum(move.event_type == "new" for move in moves)
        gone = sum(move.event_type == "churn" for move in moves)
        losses = -sums["churn"] - sums["contraction"]
        paying = sum(account.mrr > 0 for account in after.values())
        ended, converted = trials.get(month, (0, 0))
        rows.append(
            MonthRates(
                month,
                len(opening),
                sum(account.is_customer for account in after.values()),
                gone,
                _quotient(gone, len(opening)),
                _quotient(gone, len(opening) + new),
                _quotient(losses, start),
                _quotient(losses - sums["expansion"] - sums["reactivation"], start),
                _quotient(grown_too, start),
                _quotient(kept, start),
                _quotient(sums["new"] + sums["expansion"], losses),
                _quotient(mrr, paying, CENT),
                _quotient(mrr * len(opening), paying * gone, CENT),
                ended,
                converted,
            )
        )
    return rows


def cohorts(company: Company, *, rates: Rates | None = None) -> list[Cell]:
    """Every cell that has happened, by cohort and age; month 0 is the cohort as it was won."""
    began: dict[str, dt.date] = {}
    first: dict[dt.date, list[Decimal]] = defaultdict(list)
    cells = []
    for month, _, moves, after in _by_month(company, rates):
        for move in moves:
            if move.event_type == "new":
                began[move.customer_id] = month
                first[month].append(move.mrr_change)
        for cohort, won in sorted(first.items()):
            age = (month.year - cohort.year) * 12 + month.month - cohort.month
            left = [after[customer] for customer, start in began.items() if start == cohort]
            cells.append(
                Cell(
                    cohort,
                    age,
                    len(won) if age == 0 else sum(account.is_customer for account in left),
                    sum(won, Decimal(0)) if age == 0 else sum((account.mrr for account in left), Decimal(0)),
                )
            )
    return sorted(cells, key=lambda cell: (cell.cohort_month, cell.months_since))


def _by_month(
    company: Company, rates: Rates | None
) -> Iterable[tuple[dt.date, dict[str, _Account], list[Movement], dict[str, _Account]]]:
    """Each month with the accounts at its start, its movements and the accounts at its end."""
    by_month: dict[dt.date, list[Movement]] = defaultdict(list)
    for move in movements(company, rates=rates):
        by_month[move.event_date.replace(day=1)].append(move)
    month, last = min(by_month, default=day_of(company.now)), day_of(company.now).replace(day=1)
    accounts: dict[str, _Account] = {}
    while month <= last:
        before = dict(accounts)
        for move in by_month[month]:
            was = accounts.get(move.customer_id, _Account()).is_customer
            is_customer = move.event_type != "churn" and (was or move.event_type in ("new", "reactivation"))
            accounts[move.customer_id] = _Account(is_customer, move.mrr_after)
        yield month, before, by_month[month], dict(accounts)
        month = (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


def _trials(company: Company) -> dict[dt.date, tuple[int, int]]:
    """Trials ended, and how many of them converted, by the month of the end."""
    with company.lock:
        worth = {entry.subscription for entry in company.book.entries if entry.value > 0}
        found: dict[dt.date, list[bool]] = defaultdict(list)
        for subscription in company.ledger.subscriptions.values():
            if subscription.trial_end is None:
                continue
            end = min(subscription.trial_end, subscription.ended_at or subscription.trial_end)
            if end <= company.now:
                found[day_of(end).replace(day=1)].append(subscription.id in worth)
    return {month: (len(each), sum(each)) for month, each in found.items()}


def _quotient(part: Decimal | int, whole: Decimal | int, step: Decimal = MILLIONTH) -> Decimal | None:
    return (Decimal(part) / whole).quantize(step, ROUND_HALF_UP) if whole > 0 else None
