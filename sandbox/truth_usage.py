"""Ground truth about the use of the product: who adopted what and when, what truly keeps customers, who was active.

Days are UTC days and weeks begin on Monday. Everything is read from what the simulation did, not from events that a
vendor shows. ``DRIVERS`` names the features that lower the chance to leave, and by how much; all other features change
nothing, so any difference between their adopters and the rest is chance, or the reader's mistake. The usual one: whoever
has stayed long had more time to adopt anything, so adopters have to be compared from the day of adoption on.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.company import Company
from sandbox.features import BY_NAME, DRIVERS, FEATURES
from sandbox.timeline import DAY, day_of

__all__ = ["DRIVERS", "active_days", "adoptions", "as_json", "feature_weeks", "retention"]

WEEK_DAYS, MONTH_DAYS = 7, 30


@dataclass(frozen=True, slots=True)
class Adoption:
    """The first use of a feature in a workspace, in epoch seconds."""

    workspace_id: str
    customer_id: str
    feature: str
    adopted_at: int


@dataclass(frozen=True, slots=True)
class FeatureWeek:
    """Who used a feature in the week that begins on ``week``, a Monday."""

    week: dt.date
    feature: str
    users: int
    workspaces: int
    uses: int


@dataclass(frozen=True, slots=True)
class ActiveDay:
    """Distinct users (and workspaces) with any use on the day, in the 7 and in the 30 days that end with it."""

    date: dt.date
    dau: int
    wau: int
    mau: int
    daily_workspaces: int
    weekly_workspaces: int
    monthly_workspaces: int


@dataclass(frozen=True, slots=True)
class Retention:
    """Paying customers with and without a feature: days they were at risk, how often they left, how many stay 90 days.

    A customer counts as without until the moment of adoption, and as with from then on.
    """

    feature: str
    is_driver: bool
    days_with: int
    left_with: int
    days_without: int
    left_without: int

    @property
    def stays_with(self) -> float:
        """The share of customers with the feature who are still there 90 days later."""
        return _stays(self.left_with, self.days_with)

    @property
    def stays_without(self) -> float:
        """The same for customers without it."""
        return _stays(self.left_without, self.days_without)


def adoptions(company: Company) -> list[Adoption]:
    """Every adoption, in the order of time."""
    with company.lock:
        found = [
            Adoption(workspace.id, customer, feature, moment)
            for customer, workspace in company.product.workspaces.items()
            for feature, moment in workspace.adopted.items()
        ]
    return sorted(found, key=lambda each: (each.adopted_at, each.workspace_id, each.feature))


def feature_weeks(company: Company) -> list[FeatureWeek]:
    """Weekly users, workspaces and uses of each feature, in the order of time; weeks without a use are left out."""
    users: dict[tuple[int, int], set[int]] = defaultdict(set)
    counts: dict[tuple[int, int], int] = defaultdict(int)
    log = company.product.uses
    for index in range(len(log)):
        key = ((log.moments[index] // DAY + 3) // 7, log.features[index])  # day 0 was a Thursday
        users[key].add(log.users[index])
        counts[key] += 1
    return [
        FeatureWeek(
            day_of((week * 7 - 3) * DAY),
            FEATURES[place].name,
            len(found),
            len(_workspaces(company, found)),
            counts[week, place],
        )
        for (week, place), found in sorted(users.items())
    ]


def active_days(company: Company) -> list[ActiveDay]:
    """Daily, weekly and monthly active users of every day from the first use to today."""
    daily: dict[int, set[int]] = defaultdict(set)
    log = company.product.uses
    for index in range(len(log)):
        daily[log.moments[index] // DAY].add(log.users[index])
    rows = []
    for day in range(min(daily, default=0), company.now // DAY + 1) if daily else ():
        spans = [
            set().union(*(daily[d] for d in range(day - length + 1, day + 1) if d in daily))
            for length in (1, WEEK_DAYS, MONTH_DAYS)
        ]
        rows.append(
            ActiveDay(
                day_of(day * DAY), *(len(span) for span in spans), *(len(_workspaces(company, span)) for span in spans)
            )
        )
    return rows


def retention(company: Company) -> list[Retention]:
    """What each feature does for retention, counted in the simulation itself."""
    now = company.now
    with company.lock:
        entries = list(company.book.entries)
        adopted = {customer: dict(each.adopted) for customer, each in company.product.workspaces.items()}
    worth: dict[str, dict[str, int]] = defaultdict(dict)
    began: dict[str, int] = {}
    spans: list[tuple[str, int, int, bool]] = []
    for entry in entries:
        customer = entry.customer
        worth[customer][entry.subscription] = entry.value if entry.why != "pause" else 1
        is_paying = any(worth[customer].values())
        if is_paying and customer not in began:
            began[customer] = entry.moment
        elif not is_paying and customer in began:
            spans.append((customer, began.pop(customer), entry.moment, True))
    spans += [(customer, start, now, False) for customer, start in began.items()]
    found = []
    for feature in BY_NAME:
        days = [0.0, 0.0]
        left = [0, 0]
        for customer, start, end, has_left in spans:
            moment = adopted.get(customer, {}).get(feature, end + 1)
            days[0] += max(0, min(moment, end) - start) / DAY
            days[1] += max(0, end - max(moment, start)) / DAY
            left[moment <= end] += has_left
        found.append(Retention(feature, feature in DRIVERS, round(days[1]), left[1], round(days[0]), left[0]))
    return found


def as_json(company: Company) -> dict[str, Any]:
    """Everything, ready for ``json.dumps``: days as ISO dates, moments in epoch seconds."""

    def plain(row: Any) -> dict[str, Any]:
        return {key: str(value) if isinstance(value, dt.date) else value for key, value in asdict(row).items()}

    return {
        "drivers": dict(DRIVERS),
        "adoptions": [plain(row) for row in adoptions(company)],
        "feature_weeks": [plain(row) for row in feature_weeks(company)],
        "active_days": [plain(row) for row in active_days(company)],
        "retention": [plain(row) for row in retention(company)],
    }


def _stays(left: int, days: int) -> float:
    return math.exp(-90 * left / days) if days else 1.0


def _workspaces(company: Company, users: set[int]) -> set[str]:
    return {company.product.users[user].workspace.id for user in users}
