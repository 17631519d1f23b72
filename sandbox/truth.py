"""Ground truth: what the company's numbers really are, to hold against what somebody computed from the APIs.

The simulation writes down what each subscription is worth at the moment something happens to it; nothing here is
computed from invoices. The definitions:

- The worth of an item is quantity × unit amount, less a discount that recurs (``repeating`` while it lasts, ``forever``;
  a coupon for ``once`` does not count), brought to a month (year ÷ 12, quarter ÷ 3, week × 52 ÷ 12) and rounded to cents.
  Metered, one-off and free items are worth nothing.
- It counts from the first paid invoice that is not for a trial. It changes at the moment of an upgrade, at the period's
  start for what was put off to the renewal, and for a discount with the first period that is charged with it, or without it.
- Payment that fails counts on for 30 days from the day the invoice was finalized, then it is churn; paying that invoice or a
  newer one later is reactivation. Giving up (``canceled``) before that ends it at that moment.
- A pause is contraction to 0 from the first period that is not collected, and expansion when it is over. A customer with
  anything paused is not lost; one who leaves during a pause is lost then, with nothing left to lose.
- Cancelling is churn when the subscription ends (``ended_at``). Refunds change nothing.
- Movements are per customer and UTC day, from the end of one day to the end of the next; who was won and lost within a day
  counts as both.

Money is ``Decimal`` in major units. With ``rates`` (currency, day → one unit in the reporting currency) everything is
converted, each subscription at the rate of its service period's first day; what only the rate changed is ``fx``. Without
it, rows stay in the customer's own currency.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sandbox.billing.book import Entry
from sandbox.company import Company
from sandbox.timeline import day_of

Rates = Callable[[str, dt.date], Decimal]
MOVEMENTS = ("new", "expansion", "contraction", "churn", "reactivation", "fx")


@dataclass(frozen=True, slots=True)
class CustomerDay:
    """From the end of ``date`` on, until the customer's next row, the customer is worth ``mrr`` a month."""

    customer_id: str
    date: dt.date
    currency: str
    mrr: Decimal


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement of one customer on one day; ``mrr_change`` is negative for contraction and churn."""

    customer_id: str
    event_date: dt.date
    event_type: str
    mrr_change: Decimal
    currency: str
    mrr_before: Decimal
    mrr_after: Decimal


@dataclass(frozen=True, slots=True)
class Month:
    """One calendar month in one currency; parts keep their sign, so start plus all parts is ``mrr``."""

    month: dt.date
    currency: str
    start_mrr: Decimal
    new_mrr: Decimal
    expansion_mrr: Decimal
    contraction_mrr: Decimal
    churned_mrr: Decimal
    reactivated_mrr: Decimal
    fx_mrr: Decimal
    mrr: Decimal
    customers: int


@dataclass(slots=True)
class _Day:
    """One customer on one day, in cents of the currency of the rows."""

    customer: str
    date: dt.date
    currency: str
    before: int
    fx: int
    after: int
    peak: int
    is_paused: bool


def _cents(entry: Entry, rates: Rates | None) -> int:
    return _at(entry.value, entry, rates)


def _at(value: int, entry: Entry, rates: Rates | None) -> int:
    """A value of the entry's subscription at the rate of the entry's service period."""
    if rates is None or value == 0:
        return value
    converted = value * rates(entry.currency, day_of(entry.service_start))
    return int(converted.quantize(Decimal(1), ROUND_HALF_UP))


def _days(company: Company, rates: Rates | None, reporting: str) -> Iterator[_Day]:
    """Each day on which something changed for a customer, in the order of time."""
    with company.lock:
        entries = list(company.book.entries)
    latest: dict[str, Entry] = {}
    owned: dict[str, set[str]] = defaultdict(set)
    totals: dict[str, int] = defaultdict(int)
    paused: dict[str, bool] = defaultdict(bool)
    grouped: dict[tuple[dt.date, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        happened = grouped[day_of(entry.moment), entry.customer]
        # what happens to a subscription in one moment (a discount ends as a new period begins) is one change
        happened[:] = [e for e in happened if (e.moment, e.subscription) != (entry.moment, entry.subscription)]
        happened.append(entry)
    for (date, customer), happened in sorted(grouped.items(), key=lambda pair: pair[0][0]):
        before, fx, peak = totals[customer], 0, 0
        for entry in happened:
            old = latest.get(entry.subscription)
            old_cents = _cents(old, rates) if old else 0
            if old is not None and old.value and entry.value:
                fx += _at(old.value, entry, rates) - old_cents
            totals[customer] += _cents(entry, rates) - old_cents
            peak = max(peak, totals[customer])
            latest[entry.subscription] = entry
            owned[customer].add(entry.subscription)
            paused[customer] = any(latest[each].why == "pause" for each in owned[customer])
        currency = happened[0].currency if rates is None else reporting
        yield _Day(customer, date, currency, before, fx, totals[customer], peak, paused[customer])


def customer_days(company: Company, *, rates: Rates | None = None, reporting: str = "usd") -> list[CustomerDay]:
    """The true MRR of every customer at the end of each day on which it changed."""
    return [
        CustomerDay(day.customer, day.date, day.currency, _money(day.after))
        for day in _days(company, rates, reporting)
        if day.after != day.before
    ]


def mrr_on(
    company: Company, date: dt.date, *, rates: Rates | None = None, reporting: str = "usd"
) -> dict[str, Decimal]:
    """The true MRR at the end of a day of every customer who is worth something."""
    worth: dict[str, int] = {}
    for day in _days(company, rates, reporting):
        if day.date > date:
            break
        worth[day.customer] = day.after
    return {customer: _money(cents) for customer, cents in worth.items() if cents}


def movements(company: Company, *, rates: Rates | None = None, reporting: str = "usd") -> list[Movement]:
    """The true movements, in the order of time."""
    found = []
    was_paused: dict[str, bool] = defaultdict(bool)
    has_paid: set[str] = set()
    for day in _days(company, rates, reporting):
        if day.fx:
            found.append(_movement(day, "fx", day.before, day.before + day.fx))
        start, change = day.before + day.fx, day.after - day.before - day.fx
        if change:
            if day.before and day.after:
                kind = "expansion" if change > 0 else "contraction"
            elif day.before:
                kind = "contraction" if day.is_paused else "churn"
            elif was_paused[day.customer]:
                kind = "expansion"
            else:
                kind = "reactivation" if day.customer in has_paid else "new"
            found.append(_movement(day, kind, start, day.after))
        elif was_paused[day.customer] and not day.is_paused and not day.before and not day.after:
            found.append(_movement(day, "churn", 0, 0))
        elif day.peak and not day.before and not day.after and not was_paused[day.customer]:
            found.append(_movement(day, "reactivation" if day.customer in has_paid else "new", 0, day.peak))
            found.append(_movement(day, "churn", day.peak, 0))
        if day.peak:
            has_paid.add(day.customer)
        was_paused[day.customer] = day.is_paused and day.after == 0
    return found


def _movement(day: _Day, kind: str, before: int, after: int) -> Movement:
    return Movement(day.customer, day.date, kind, _money(after - before), day.currency, _money(before), _money(after))


def monthly(company: Company, *, rates: Rates | None = None, reporting: str = "usd") -> list[Month]:
    """The true months from the first one to the current one (to date), a row for each currency."""
    parts: dict[tuple[str, dt.date], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    worth: dict[str, dict[str, Decimal]] = defaultdict(dict)
    counts: dict[tuple[str, dt.date], int] = {}
    everything = movements(company, rates=rates, reporting=reporting)
    months = _months(day_of(company.start), day_of(company.now))
    position = 0
    for month in months:
        while position < len(everything) and everything[position].event_date.replace(day=1) == month:
            event = everything[position]
            parts[event.currency, month][event.event_type] += event.mrr_change
            worth[event.currency][event.customer_id] = event.mrr_after
            position += 1
        for currency, customers in worth.items():
            counts[currency, month] = sum(value > 0 for value in customers.values())
    rows = []
    for currency in sorted(worth):
        running = Decimal(0)
        for month in months:
            part = parts[currency, month]
            end = running + sum(part.values(), Decimal(0))
            rows.append(
                Month(
                    month,
                    currency,
                    start_mrr=running,
                    new_mrr=part["new"],
                    expansion_mrr=part["expansion"],
                    contraction_mrr=part["contraction"],
                    churned_mrr=part["churn"],
                    reactivated_mrr=part["reactivation"],
                    fx_mrr=part["fx"],
                    mrr=end,
                    customers=counts.get((currency, month), 0),
                )
            )
            running = end
    return rows


def _months(first: dt.date, last: dt.date) -> list[dt.date]:
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [dt.date(number // 12, number % 12 + 1, 1) for number in numbers]


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def as_json(company: Company) -> dict[str, Any]:
    """Everything in each customer's own currency, ready for ``json.dumps``: money as text, days as ISO dates."""

    def plain(row: Any) -> dict[str, Any]:
        return {key: value if isinstance(value, int) else str(value) for key, value in asdict(row).items()}

    return {
        "now": company.now,
        "monthly": [plain(row) for row in monthly(company)],
        "movements": [plain(row) for row in movements(company)],
        "customer_days": [plain(row) for row in customer_days(company)],
    }
