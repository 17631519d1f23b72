"""Ground truth of delivery: what was merged in each week, how long it took, and what was open at the week's end.

Weeks begin on Monday, in UTC. Work on a pull request begins with its first commit or its opening, whichever came first;
a review is one by somebody else than the author. Told by the pull requests themselves.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from statistics import median

from sandbox.company import Company
from sandbox.engineering import Pull
from sandbox.timeline import DAY, HOUR, day_of

ALL = "all"


@dataclass(frozen=True, slots=True)
class Week:
    """Hours are medians of what was merged in the week, ``open_age`` of what was open at its end (or now)."""

    week: dt.date
    repository: str
    opened: int
    merged: int
    lead_time: float | None
    time_to_first_review: float | None
    review_to_merge: float | None
    open: int
    open_age: float | None


def weeks(company: Company) -> list[Week]:
    """Every week from the first pull request to now, of each repository that has one and of all together."""
    with company.lock:
        by_repository = {
            each.full_name: list(each.pulls.values())
            for each in company.engineering.repositories.values()
            if each.pulls
        }
    by_repository[ALL] = [pull for pulls in by_repository.values() for pull in pulls]
    found = []
    for repository, pulls in by_repository.items():
        start = _monday(min(pull.created_at for pull in pulls))
        while start <= company.now:
            found.append(_week(repository, pulls, start, company.now))
            start += 7 * DAY
    return found


def _week(repository: str, pulls: list[Pull], start: int, now: int) -> Week:
    end = start + 7 * DAY
    merged = [pull for pull in pulls if pull.merged_at is not None and start <= pull.merged_at < end]
    is_open = [pull for pull in pulls if pull.created_at < end and (pull.closed_at is None or pull.closed_at >= end)]
    reviewed = [(pull, review) for pull in merged if (review := _first_review(pull)) is not None]
    return Week(
        day_of(start),
        repository,
        opened=sum(start <= pull.created_at < end for pull in pulls),
        merged=len(merged),
        lead_time=_median([(pull.merged_at or 0) - _begun(pull) for pull in merged]),
        time_to_first_review=_median([review - pull.created_at for pull, review in reviewed]),
        review_to_merge=_median([(pull.merged_at or 0) - review for pull, review in reviewed]),
        open=len(is_open),
        open_age=_median([min(end, now) - pull.created_at for pull in is_open]),
    )


def _begun(pull: Pull) -> int:
    return min([pull.created_at, *(commit.authored_at for commit in pull.commits)])


def _first_review(pull: Pull) -> int | None:
    return min((each.submitted_at for each in pull.reviews if each.author is not pull.author), default=None)


def _median(seconds: list[int]) -> float | None:
    return median(seconds) / HOUR if seconds else None


def _monday(moment: int) -> int:
    return (moment // DAY - (moment // DAY + 3) % 7) * DAY  # day 0 was a Thursday
