"""Ground truth of sales: what stage history, win rate, sales cycle, conversion and velocity really are.

All of it is told by the book of moves (``sandbox.sales.Move``), which is written while things happen. Deals that somebody
deleted do not count. Win rate: won ÷ (won + lost) of the deals that were closed in the window and are closed still.
Cycle: the median of days from created to won, of the deals won in the window. Conversion: of the deals that came into a
stage for the first time in a month, those that came into the next one or beyond afterwards. Months are UTC.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from statistics import median

from sandbox.company import Company
from sandbox.crm import LOST, OPEN_STAGES, WON
from sandbox.sales import Move
from sandbox.timeline import DAY, add_months, day_of, month_start
from sandbox.truth import Rates

_WAY = (*OPEN_STAGES, WON)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of the deals that came into a stage for the first time in a month; all but ``entered`` are parts of it."""

    entered: int
    moved_on: int
    skipped_next: int
    undecided: int


@dataclass(frozen=True, slots=True)
class Velocity:
    """A month of the pipeline; ``average`` and ``per_day`` are money in major units, None where nothing was won."""

    month: dt.date
    open: int
    won: int
    lost: int
    average: Decimal | None
    cycle_days: float | None
    per_day: Decimal | None


def stage_history(company: Company) -> dict[int, list[tuple[str, int]]]:
    """Every deal's stages in order, with the moment it entered each; deleted deals too."""
    history: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for move in _moves(company):
        history[move.deal].append((move.stage, move.moment))
    return dict(history)


def closed_deals(company: Company, since: int, until: int) -> dict[int, tuple[str, int]]:
    """Deals that were closed in [since, until) and are so still: how (won or lost) and when."""
    gone = {deal.id for deal in company.sales.crm.deals.values() if deal.archived_at is not None}
    last = {move.deal: move for move in _moves(company) if move.deal not in gone}
    return {
        deal: (move.stage, move.moment)
        for deal, move in last.items()
        if move.stage in (WON, LOST) and since <= move.moment < until
    }


def win_rate(company: Company, since: int, until: int) -> float | None:
    """Won ÷ (won + lost); None when nothing was closed."""
    closed = [stage for stage, _ in closed_deals(company, since, until).values()]
    return closed.count(WON) / len(closed) if closed else None


def sales_cycle_days(company: Company, since: int, until: int) -> float | None:
    """The median of days from the first talk to the signature; None when nothing was won."""
    first = {deal: stays[0][1] for deal, stays in stage_history(company).items()}
    days = [
        (moment - first[deal]) / 86_400
        for deal, (stage, moment) in closed_deals(company, since, until).items()
        if stage == WON
    ]
    return median(days) if days else None


def stage_conversion(company: Company) -> dict[tuple[dt.date, str], Conversion]:
    """By month of entry and stage; months in which no deal came into the stage are left out."""
    found: dict[tuple[dt.date, str], list[tuple[bool, bool, bool]]] = defaultdict(list)
    for way in _counted(company).values():
        stages = [stage for stage, _ in way]
        for place, stage in enumerate(OPEN_STAGES):
            if stage not in stages:
                continue
            first = stages.index(stage)
            later = {_WAY.index(each) for each in stages[first + 1 :] if each in _WAY}
            has_moved_on = any(step > place for step in later)
            is_undecided = not has_moved_on and stages[-1] in OPEN_STAGES
            month = day_of(month_start(way[first][1]))
            found[month, stage].append((has_moved_on, has_moved_on and place + 1 not in later, is_undecided))
    return {
        key: Conversion(len(deals), *(sum(each) for each in zip(*deals, strict=True))) for key, deals in found.items()
    }


def velocity(company: Company, *, rates: Rates) -> list[Velocity]:
    """Every month from the first deal to the current one (to date); each deal at the rate of the day it was won."""
    ways, deals = _counted(company), company.sales.crm.deals
    rows = []
    for since, until in _months(min(way[0][1] for way in ways.values()), company.now):
        last = [[stage for stage, moment in way if moment < until] for way in ways.values()]
        closed = closed_deals(company, since, until)
        won = [(deals[number], moment) for number, (stage, moment) in closed.items() if stage == WON]
        cents = sum(_cents(deal.amount * rates(deal.currency, day_of(moment))) for deal, moment in won)
        seconds = median(moment - ways[deal.id][0][1] for deal, moment in won) if won else None
        is_open = sum(bool(stages) and stages[-1] in OPEN_STAGES for stages in last)
        per_day = None
        if won and seconds:
            per_day = is_open * Fraction(len(won), len(closed)) * Fraction(cents, len(won)) / Fraction(seconds) * DAY
        rows.append(
            Velocity(
                day_of(since),
                is_open,
                len(won),
                len(closed) - len(won),
                _money(Fraction(cents, len(won))) if won else None,
                seconds / DAY if seconds is not None else None,
                _money(per_day) if per_day is not None else None,
            )
        )
    return rows


def _counted(company: Company) -> dict[int, list[tuple[str, int]]]:
    """The stage history of the deals that nobody deleted."""
    gone = {deal.id for deal in company.sales.crm.deals.values() if deal.archived_at is not None}
    return {deal: way for deal, way in stage_history(company).items() if deal not in gone}


def _months(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Begin and end of every month between two moments."""
    begin = month_start(first)
    while begin <= last:
        end = add_months(begin, 1)
        yield begin, end
        begin = end


def _cents(exact: Decimal) -> int:
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def _money(cents: Fraction) -> Decimal:
    return Decimal(_cents(Decimal(cents.numerator) / cents.denominator)).scaleb(-2)


def _moves(company: Company) -> list[Move]:
    with company.lock:
        return sorted(company.sales.book, key=lambda move: move.moment)
