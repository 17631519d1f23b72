"""Ground truth about features, by day: who came back to what, which workspaces got going, and who left with which feature.

As ``truth_usage``, but as somebody sees it who knows days only. Days are UTC days, weeks begin on Monday. Everything is
told by the log of uses, by the moments of adoption and by the books, not by what a vendor shows.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from sandbox.company import Company
from sandbox.features import BY_NAME, DRIVERS, FEATURES
from sandbox.timeline import DAY, day_of

WEEK = dt.timedelta(7)


@dataclass(frozen=True, slots=True)
class Cell:
    """Of the ``users`` whose first use of the feature was in the week of ``cohort_week``, how many used it in the week so
    many weeks later."""

    feature: str
    cohort_week: dt.date
    week_number: int
    users: int
    retained_users: int


@dataclass(frozen=True, slots=True)
class Activation:
    """Workspaces of a month: how many signed up, have had their days, and took up enough features in these days."""

    cohort_month: dt.date
    signed_up: int
    decided: int
    activated: int
    median_days: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Paying customers with and without a feature: who ever was either, for how many days, and how often they left."""

    feature: str
    is_driver: bool
    accounts_with: int
    accounts_without: int
    days_with: int
    days_without: int
    left_with: int
    left_without: int


def retention_cells(company: Company, weeks: int) -> list[Cell]:
    """Every cell whose week is over, up to ``weeks`` weeks after the first use."""
    log = company.product.uses
    active: dict[tuple[str, int], set[dt.date]] = defaultdict(set)
    for moment, user, place in zip(log.moments, log.users, log.features, strict=True):
        active[FEATURES[place].name, user].add(_monday(day_of(moment)))
    users: Counter[tuple[str, dt.date]] = Counter()
    returned: Counter[tuple[str, dt.date, dt.date]] = Counter()
    for (feature, _), mondays in active.items():
        first = min(mondays)
        users[feature, first] += 1
        returned.update((feature, first, monday) for monday in mondays)
    this_week = _monday(day_of(company.now))
    return [
        Cell(feature, first, number, count, returned[feature, first, first + number * WEEK])
        for (feature, first), count in users.items()
        for number in range(weeks + 1)
        if first + number * WEEK < this_week
    ]


def activations(company: Company, *, needed: int, days: int) -> list[Activation]:
    """By month of sign-up, in the order of time: activated by ``needed`` features within ``days`` days."""
    cohorts: dict[dt.date, list[tuple[bool, float | None]]] = defaultdict(list)
    for workspace in company.product.workspaces.values():
        end = workspace.created_at + days * DAY
        in_time = sorted(moment for moment in workspace.adopted.values() if moment < end)
        is_decided = end <= company.now
        took = (in_time[needed - 1] - workspace.created_at) / DAY if is_decided and len(in_time) >= needed else None
        cohorts[day_of(workspace.created_at).replace(day=1)].append((is_decided, took))
    found = []
    for month, each in sorted(cohorts.items()):
        times = [took for _, took in each if took is not None]
        decided = sum(is_decided for is_decided, _ in each)
        found.append(Activation(month, len(each), decided, len(times), median(times) if times else None))
    return found


def comparisons(company: Company) -> list[Comparison]:
    """Every feature. A customer counts as without it before the day of adoption and as with it from that day on."""
    spans = list(paying_days(company))
    adopted = {customer: each.adopted for customer, each in company.product.workspaces.items()}
    found = []
    for feature in BY_NAME:
        who: tuple[set[str], set[str]] = (set(), set())
        days, left = [0, 0], [0, 0]
        for customer, began, ended, has_left in spans:
            moment = adopted[customer].get(feature)
            day = day_of(moment) if moment is not None else dt.date.max
            days[0] += max(0, (min(day, ended) - began).days)
            days[1] += max(0, (ended - max(day, began)).days)
            left[day <= ended] += has_left
            if day > began:
                who[0].add(customer)
            if day <= ended:
                who[1].add(customer)
        found.append(
            Comparison(feature, feature in DRIVERS, len(who[1]), len(who[0]), days[1], days[0], left[1], left[0])
        )
    return found


def paying_days(company: Company) -> Iterator[tuple[str, dt.date, dt.date, bool]]:
    """Customer, first day, last day and whether the customer left then; a pause ends nothing.

    What happens within one day counts only if it shows: gone and back is nothing, won and gone is a span of no days.
    """
    with company.lock:
        entries = list(company.book.entries)
    by_day: dict[str, dict[dt.date, list[bool]]] = defaultdict(lambda: defaultdict(list))
    worth: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in entries:
        worth[entry.customer][entry.subscription] = entry.value if entry.why != "pause" else 1
        by_day[entry.customer][day_of(entry.moment)].append(any(worth[entry.customer].values()))
    for customer, days in by_day.items():
        began: dt.date | None = None
        for day, paying in days.items():
            if began is None and any(paying):
                began = day
            if began is not None and not paying[-1]:
                yield customer, began, day, True
                began = None
        if began is not None:
            yield customer, began, day_of(company.now), False


def _monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(day.weekday())
