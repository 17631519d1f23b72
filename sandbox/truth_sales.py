"""Ground truth of sales: what stage history, win rate and sales cycle really are.

All of it is told by the book of moves (``sandbox.sales.Move``), which is written while things happen. Deals that somebody
deleted do not count. Win rate: won ÷ (won + lost) of the deals that were closed in the window and are closed still.
Cycle: the median of days from created to won, of the deals won in the window.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from sandbox.company import Company
from sandbox.crm import LOST, WON
from sandbox.sales import Move


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


def _moves(company: Company) -> list[Move]:
    with company.lock:
        return sorted(company.sales.book, key=lambda move: move.moment)
