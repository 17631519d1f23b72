"""The sandbox company's true numbers beside what the published marts say: every row of both, equal to the cent or not.

A question is one mart read by SQL and the same rows told by the simulation (`sandbox.truth…`), which never looks at what
its doors show. Rows are compared as bags: each side's rows that the other does not have are differences.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from functools import cache
from typing import Any

from metrics.dbt_project import PROJECT_DIR
from sandbox import truth, truth_retention
from sandbox.company import Company
from sandbox.timeline import day_of

Row = tuple[Any, ...]
Ask = Callable[[str], Sequence[Row]]
EXAMPLES = 3


@dataclass(frozen=True)
class Question:
    """`sql` reads a mart, `true` tells the same rows; both in any order."""

    area: str
    name: str
    sql: str
    true: Callable[[Company], Iterable[Row]]


@dataclass(frozen=True)
class Answer:
    """`rows` true ones; `wrong` rows that one side has and the other has not, `examples` some of them in words."""

    question: Question
    rows: int
    wrong: int
    examples: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        # Nothing compared with nothing proves nothing.
        return self.wrong == 0 and self.rows > 0


def compare(company: Company, ask: Ask, questions: Iterable[Question] | None = None) -> list[Answer]:
    """Put every question to the marts and to the simulation."""
    return [_answer(question, company, ask) for question in (QUESTIONS if questions is None else questions)]


def _answer(question: Question, company: Company, ask: Ask) -> Answer:
    true, said = Counter(map(tuple, question.true(company))), Counter(map(tuple, ask(question.sql)))
    missing, surplus = true - said, said - true
    examples = [f"true, not in the marts: {row}" for row in list(missing)[:EXAMPLES]]
    examples += [f"in the marts, not true: {row}" for row in list(surplus)[:EXAMPLES]]
    return Answer(question, true.total(), missing.total() + surplus.total(), tuple(examples))


# --- the rows ---------------------------------------------------------------------------------------------------------
@cache
def _rates() -> dict[str, list[tuple[dt.date, Decimal]]]:
    found: dict[str, list[tuple[dt.date, Decimal]]] = {}
    with (PROJECT_DIR / "seeds" / "fx_rates.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            pair = (dt.date.fromisoformat(row["rate_date"]), Decimal(row["usd_rate"]))
            found.setdefault(row["currency"], []).append(pair)
    return found


def rate(currency: str, day: dt.date) -> Decimal:
    """What one unit of `currency` was worth in dollars, by the rates on file."""
    return Decimal(1) if currency == "usd" else max(pair for pair in _rates()[currency] if pair[0] <= day)[1]


def _month_ends(company: Company) -> Iterable[Row]:
    for month in truth.monthly(company, rates=rate):
        last_day = (month.month + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
        for customer, mrr in truth.mrr_on(company, last_day, rates=rate).items():
            yield (month.month, customer, mrr)


def _plan(company: Company) -> Iterable[Row]:
    actual = {month.month: month.mrr for month in truth.monthly(company, rates=rate)}
    for start, month in company.finance.months.items():
        day = day_of(start)
        yield (day, Decimal(month.plan_mrr), Decimal(month.plan_new), Decimal(month.plan_churn), actual.get(day))


def _names(kind: type) -> str:
    return ", ".join(field.name for field in fields(kind))


_MONTH = (
    "month, currency, start_mrr, new_mrr, expansion_mrr, contraction_mrr, churned_mrr, reactivated_mrr, fx_mrr, mrr"
)

QUESTIONS: tuple[Question, ...] = (
    Question(
        "finance",
        "MRR per customer and month",
        "select month, customer_id, mrr from mart_finance.mrr_by_customer_month where mrr <> 0",
        _month_ends,
    ),
    Question(
        "finance",
        "every movement of every customer",
        "select customer_id, event_date, event_type, mrr_change, mrr_before, mrr_after from mart_finance.mrr_events",
        lambda company: (
            (m.customer_id, m.event_date, m.event_type, m.mrr_change, m.mrr_before, m.mrr_after)
            for m in truth.movements(company, rates=rate)
        ),
    ),
    Question(
        "finance",
        "sums of movements per month",
        f"select {_MONTH} from mart_finance.mrr_monthly",
        lambda company: (
            tuple(getattr(month, name) for name in _MONTH.split(", ")) for month in truth.monthly(company, rates=rate)
        ),
    ),
    Question(
        "finance",
        "NRR, GRR, churn, quick ratio, ARPA, LTV, trials per month",
        f"select {_names(truth_retention.MonthRates)} from mart_finance.revenue_retention",
        lambda company: map(astuple, truth_retention.month_rates(company, rates=rate)),
    ),
    Question(
        "finance",
        "cohorts: customers and MRR",
        f"select {_names(truth_retention.Cell)} from mart_finance.cohort_retention",
        lambda company: map(astuple, truth_retention.cohorts(company, rates=rate)),
    ),
    Question(
        "finance",
        "the finance team's plan, and what came of it",
        "select month, plan_mrr, plan_new_mrr, plan_churned_mrr, actual_mrr from mart_finance.plan_vs_actual",
        _plan,
    ),
)
