"""The sandbox company's true numbers beside what the published marts say: every row of both, equal to the cent or not.

A question is one mart read by SQL and the same rows told by the simulation (`sandbox.truth…`), which never looks at what
its doors show. Rows are compared as bags: each side's rows that the other does not have are differences. Counts, money, days
and names have to be equal; what was divided as a fraction, to nine digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from sandbox.company import Company

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


def compare(company: Company, ask: Ask, questions: Iterable[Question]) -> list[Answer]:
    """Put every question to the marts and to the simulation."""
    return [_answer(question, company, ask) for question in questions]


def _answer(question: Question, company: Company, ask: Ask) -> Answer:
    true, said = _by_key(question.true(company)), _by_key(ask(question.sql))
    missing: list[Row] = []
    surplus: list[Row] = []
    for key in {**true, **said}:
        pairs = zip_longest(sorted(said.get(key, []), key=_order), sorted(true.get(key, []), key=_order))
        for ours, theirs in pairs:
            if ours is not None and theirs is not None and all(map(_close, ours, theirs)):
                continue
            missing += [_whole(key, theirs)] if theirs is not None else []
            surplus += [_whole(key, ours)] if ours is not None else []
    examples = [f"true, not in the marts: {row}" for row in missing[:EXAMPLES]]
    examples += [f"in the marts, not true: {row}" for row in surplus[:EXAMPLES]]
    return Answer(question, sum(map(len, true.values())), len(missing) + len(surplus), tuple(examples))


def _by_key(rows: Iterable[Row]) -> dict[Row, list[Row]]:
    """What has to be exactly equal (counts, money, days, names) → what was divided as a fraction, row by row."""
    found: dict[Row, list[Row]] = {}
    for row in rows:
        key = tuple(float if isinstance(value, float) else value for value in row)
        found.setdefault(key, []).append(tuple(value for value in row if isinstance(value, float)))
    return found


def _whole(key: Row, fractions: Row) -> Row:
    waiting = iter(fractions)
    return tuple(next(waiting) if value is float else value for value in key)


def _close(ours: float, theirs: float) -> bool:
    return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


def _order(row: Row) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in row)
