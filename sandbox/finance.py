"""The finance team's spreadsheet: the plan by month with what came of it, the people, and the rates of the budget.

It is made by hand, and looks it: merged titles, a quarter that spans three rows, money typed as text here and there, a
column without a header, a formula that lost its reference. The plan is drawn up each quarter from what the books say on
that day, for the twelve months ahead; what a month really brought is filled in a few days after its end.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import Any

from sandbox import names
from sandbox.billing.book import TruthBook
from sandbox.timeline import DAY, HOUR, Timeline, add_months, day_of, month_start

MONTHS_AHEAD = 12
#: What one unit of a currency is worth in the budget, in dollars.
BUDGET_RATES = {"usd": 1.0, "eur": 1.08, "gbp": 1.27}
_TEAMS = (("Engineering", 15), ("Product", 4), ("Sales", 7), ("Customer success", 6), ("Finance", 3), ("People", 2))
_NOTES = (
    "pricing page test", "two enterprise deals slipped", "board meeting", "annual renewals", "hiring freeze lifted",
    "waiting for the bank", "see mail from auditors", "conference", "checked", "tbc with sales",
)  # fmt: skip
_EPOCH = dt.date(1899, 12, 30)


@dataclass(frozen=True, slots=True)
class Cell:
    """``value`` as it is kept, ``shown`` as the spreadsheet formats it. ``is_date``: the value is a serial number."""

    value: Any
    shown: str
    is_date: bool = False


@dataclass(slots=True)
class Sheet:
    """Cells by row; ``merges`` are (first row, row after the last, first column, column after the last), from 0."""

    id: int
    title: str
    rows: list[list[Cell | None]] = field(default_factory=list)
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)
    size: tuple[int, int] = (1000, 26)


@dataclass(slots=True)
class Month:
    """One line of the plan, in whole dollars; what is real is None until it was filled in."""

    start: int
    plan_mrr: int
    plan_new: int
    plan_churn: int
    headcount: int
    costs: int
    author: str
    note: str
    style: float
    actual_mrr: int | None = None
    actual_costs: int | None = None


@dataclass(slots=True)
class Team:
    name: str
    lead: str
    people: int
    open_roles: int


class Finance:
    """Plans each quarter, closes each month; ``sheets()`` is the spreadsheet as it stands."""

    title = "Tidewater: plan and actuals"

    def __init__(self, timeline: Timeline, rng: random.Random, book: TruthBook, *, start: int) -> None:
        self.timeline = timeline
        self.rng = rng
        self.book = book
        self.months: dict[int, Month] = {}
        self.people = [Team(name, names.person(rng), size, rng.choice((0, 0, 1, 2))) for name, size in _TEAMS]
        self._closing: dict[int, int] = {}
        self._growth = 0.012
        # A day after the start the customers of the first day are in the books.
        timeline.at(start + DAY, self._plan, start)
        for number in range(1, 4):
            timeline.at(add_months(start, number), self._month_ends, add_months(start, number - 1))

    # -- what happens ------------------------------------------------------------------------------------------------

    def _plan(self, first: int) -> None:
        """Draw up the coming twelve months anew; months that are over stay as they were planned."""
        now = float(self._mrr())
        for ahead in range(MONTHS_AHEAD + 1):
            start = add_months(first, ahead)
            target = now * (1 + self._growth) ** (ahead + 1) * self.rng.uniform(0.985, 1.03)
            new = target * self.rng.uniform(0.018, 0.026)
            churn = max(0.0, new - target * self._growth)
            people = sum(team.people for team in self.people) + round(ahead / 4)
            self.months[start] = Month(
                start,
                plan_mrr=_rounded(target, 100),
                plan_new=_rounded(new, 10),
                plan_churn=_rounded(churn, 10),
                headcount=people,
                costs=_rounded(people * self.rng.uniform(3_900, 4_300) + 22_000, 100),
                author=self.rng.choice(("mk", "mk", "js", "")),
                note=self.rng.choice(_NOTES) if self.rng.random() < 0.3 else "",
                style=self.rng.random(),
            )

    def _month_ends(self, start: int) -> None:
        """The books of a month are over: remember what they say, fill it in some days later, plan each quarter."""
        self._closing[start] = self._mrr()
        filled_in = self.timeline.now + self.rng.randint(2, 5) * DAY + 9 * HOUR + self.rng.randint(0, 7 * HOUR)
        self.timeline.at(filled_in, self._close, start)
        following = add_months(start, 3)
        self.timeline.at(add_months(following, 1), self._month_ends, following)
        if len(self._closing) % 3 == 0:
            first, last = list(self._closing.values())[-3], self._closing[start]
            if first:
                self._growth = min(0.03, max(0.004, 0.5 * self._growth + 0.5 * (last / first - 1) / 2))
            for team in self.people:
                team.people += self.rng.random() < 0.08
            self._plan(self.timeline.now)

    def _close(self, start: int) -> None:
        month = self.months[start]
        month.actual_mrr = self._closing[start]
        month.actual_costs = _rounded(month.costs * self.rng.uniform(0.94, 1.09), 10)

    def _mrr(self) -> int:
        """What all customers are worth a month now, in dollars at the rates of the budget."""
        return round(sum(self.book.total(currency) * rate for currency, rate in BUDGET_RATES.items()) / 100)

    # -- the spreadsheet ---------------------------------------------------------------------------------------------

    def sheets(self) -> list[Sheet]:
        """The spreadsheet as it stands now."""
        return [self._plan_sheet(), self._people_sheet(), self._rates_sheet()]

    def _plan_sheet(self) -> Sheet:
        sheet = Sheet(0, "Plan")
        header = (
            "Quarter", "Month", "Plan MRR", "Plan new MRR", "Plan churn", "Headcount", "Costs", None, "Actual MRR",
            "Actual costs", "Notes",
        )  # fmt: skip
        sheet.rows = [
            [text("Tidewater – financial plan")],
            [text("US dollars unless noted. Ask Mira before you change anything.")],
            [text(name) if name else None for name in header],
        ]
        sheet.merges = [(0, 1, 0, len(header)), (1, 2, 0, len(header))]
        quarter_of: dict[str, tuple[int, int]] = {}
        for start, month in sorted(self.months.items()):
            day = day_of(start)
            quarter = f"Q{(day.month + 2) // 3} {day.year}"
            row = len(sheet.rows)
            first, _ = quarter_of.get(quarter, (row, row))
            quarter_of[quarter] = (first, row + 1)
            sheet.rows.append(
                [
                    text(quarter) if first == row else None,
                    date(day),
                    _money(month.plan_mrr, month.style < 0.2),
                    _money(month.plan_new, False),
                    text(f"({month.plan_churn:,})") if month.style > 0.7 else _money(-month.plan_churn, False),
                    number(month.headcount),
                    text(f"$ {month.costs:,}.00") if 0.3 < month.style < 0.45 else _money(month.costs, False),
                    text(month.author) if month.author else None,
                    None if month.actual_mrr is None else _money(month.actual_mrr, month.style > 0.93),
                    None if month.actual_costs is None else _money(month.actual_costs, False),
                    text(month.note) if month.note else None,
                ]
            )
        sheet.merges += [(first, last, 0, 1) for first, last in quarter_of.values() if last - first > 1]
        return sheet

    def _people_sheet(self) -> Sheet:
        sheet = Sheet(481_516_234, "People", size=(200, 20))
        sheet.rows = [[text(name) for name in ("Team", "Lead", "People", "Open roles", "Share", "As of")]]
        everybody = sum(team.people for team in self.people)
        as_of = day_of(month_start(self.timeline.now))
        for team in self.people:
            share = team.people / everybody
            sheet.rows.append(
                [
                    text(team.name),
                    text(team.lead),
                    number(team.people),
                    number(team.open_roles) if team.open_roles else None,
                    Cell(share, f"{share:.0%}"),
                    date(as_of),
                ]
            )
        # somebody deleted the row that this one pointed to
        sheet.rows[2][4] = text("#REF!")
        return sheet

    def _rates_sheet(self) -> Sheet:
        sheet = Sheet(1_508_132_107, "Budget rates", size=(100, 10))
        sheet.rows = [[text("Currency"), text("Rate"), text("In use")]]
        for currency, rate in BUDGET_RATES.items():
            sheet.rows.append([text(currency.upper()), Cell(rate, f"{rate:.2f}"), Cell(True, "TRUE")])
        return sheet


def text(value: str) -> Cell:
    return Cell(value, value)


def number(value: int) -> Cell:
    return Cell(value, str(value))


def date(day: dt.date) -> Cell:
    """A day as a spreadsheet keeps it: counted from the end of 1899."""
    return Cell((day - _EPOCH).days, f"{day:%b %Y}", is_date=True)


def _money(value: int, as_text: bool) -> Cell:
    shown = f"-${-value:,}" if value < 0 else f"${value:,}"
    return text(f"$ {value:,}") if as_text else Cell(value, shown)


def _rounded(value: float, to: int) -> int:
    return round(value / to) * to
