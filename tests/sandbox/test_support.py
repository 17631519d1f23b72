"""The support desk and the team: plausible, coherent with the rest of the world, and the same however it got there."""

from __future__ import annotations

from statistics import mean, median
from typing import Any

import pytest

from sandbox import truth_support
from sandbox.company import Company
from sandbox.support import CLOSES, OPENS, Admin
from sandbox.team import SIZE
from sandbox.timeline import DAY, HOUR, utc
from tests.sandbox.conftest import MONDAY

pytestmark = pytest.mark.slow  # a company is simulated for it


def picture(company: Company) -> Any:
    """Everything that the two parts have come to."""
    return (
        [
            (each.id, each.user.id, each.state, each.updated_at, each.rating, [(p.id, p.kind, p.created_at) for p in each.parts])
            for each in company.support.conversations.values()
        ],
        company.support.cases,
        [
            (channel.id, message.ts, message.author.id, message.text, message.edited_ts, message.reactions, [r.ts for r in message.replies])
            for channel in company.team.channels.values()
            for message in channel.messages
        ],
    )  # fmt: skip


def test_one_step_and_many_lead_to_the_same_desk_and_team():
    once = Company(seed=4, opened_at=MONDAY, scale=0.2)
    once.run(MONDAY + 9 * DAY)
    often = Company(seed=4, opened_at=MONDAY, scale=0.2)
    for hours in (1, 5, 30, 31, 100, 9 * 24):
        often.run(MONDAY + hours * HOUR)
    assert picture(once) == picture(often)
    other = Company(seed=5, opened_at=MONDAY, scale=0.2)
    other.run(MONDAY + 9 * DAY)
    assert picture(once) != picture(other)


def test_two_years_of_a_small_company_are_there(company):
    assert 1_000 < len(company.support.conversations) < 2_200
    messages = [message for channel in company.team.channels.values() for message in channel.messages]
    assert 6_000 < len(messages) + sum(len(message.replies) for message in messages) < 10_000
    assert len(company.team.members) == len({member.id for member in company.team.members}) == SIZE


def test_who_writes_and_who_answers_are_people_of_this_world(company):
    users, customers = company.product.users, company.ledger.customers
    for conversation in company.support.conversations.values():
        assert users[conversation.user.id] is conversation.user
        assert conversation.user.workspace.stripe_customer_id in customers
        assert conversation.created_at >= conversation.user.created_at
    staff = {member.id for member in company.team.of("Support")}
    assert {admin.member.id for admin in company.support.admins} == staff
    engineers = {person.name for person in company.engineering.people}
    assert {member.name for member in company.team.of("Engineering")} == engineers


def test_colleagues_answer_in_their_hours_and_in_order(company):
    for conversation in company.support.conversations.values():
        moments = [conversation.created_at, *(part.created_at for part in conversation.parts)]
        assert moments == sorted(moments)
        for part in conversation.parts:
            if part.kind in {"comment", "close"} and isinstance(part.by, Admin):
                moment = utc(part.created_at)
                assert moment.weekday() < 5
                assert OPENS <= moment.hour + moment.minute / 60 <= CLOSES


def test_response_times_and_ratings_are_plausible_and_belong_together(company):
    cases = list(company.support.cases.values())
    first = [case.first_response_seconds for case in cases if case.first_response_seconds is not None]
    closed = [case.first_close_seconds for case in cases if case.first_close_seconds is not None]
    assert 0.95 < len(first) / len(cases) <= 1
    assert 20 * 60 < median(first) < 6 * HOUR
    assert 2 * HOUR < median(closed) < 3 * DAY
    rated = [case for case in cases if case.rating is not None]
    assert 0.2 < len(rated) / len(closed) < 0.45
    assert {case.rating for case in rated} == {1, 2, 3, 4, 5}
    quick = [case.rating for case in rated if (case.first_response_seconds or 0) < HOUR]
    slow = [case.rating for case in rated if (case.first_response_seconds or 0) > 12 * HOUR]
    assert mean(quick) > mean(slow) + 0.8


def test_the_truth_is_what_happened(company):
    for conversation in company.support.conversations.values():
        case = company.support.cases[conversation.id]
        answers = [p.created_at for p in conversation.parts if p.kind == "comment" and isinstance(p.by, Admin)]
        closes = [part.created_at for part in conversation.parts if part.kind == "close"]
        began = conversation.created_at
        assert case.first_response_seconds == (answers[0] - began if answers else None)
        assert case.first_close_seconds == (closes[0] - began if closes else None)
        assert case.last_close_seconds == (closes[-1] - began if closes else None)
        assert case.rating == (conversation.rating[0] if conversation.rating else None)
        assert (conversation.state == "closed") == bool(closes and conversation.parts[-1].kind == "close")


def test_the_days_of_the_desk_add_up_to_its_cases(company):
    cases, days = company.support.cases.values(), truth_support.days(company).values()
    conversations = company.support.conversations.values()
    assert sum(day.opened for day in days) == len(cases)
    assert sum(day.reopened for day in days) == sum(each.reopens for each in conversations) > 0
    assert sum(day.closed for day in days) == sum(part.kind == "close" for each in conversations for part in each.parts)
    assert sum(len(day.resolutions) for day in days) == sum(each.state == "closed" for each in conversations)


@pytest.mark.parametrize(
    ("seconds", "fraction", "value"), [([], 0.5, None), ([7], 0.9, 7), ([9, 1, 3], 0.5, 3), ([0, 10], 0.9, 9)]
)
def test_a_percentile_lies_between_neighbours(seconds, fraction, value):
    assert truth_support.percentile(seconds, fraction) == value


def test_the_team_writes_when_it_works(company):
    weekend = total = 0
    for channel in company.team.channels.values():
        stamps = [message.ts for message in channel.messages]
        assert stamps == sorted(set(stamps))
        for message in channel.messages:
            total += 1
            weekend += utc(int(float(message.ts))).weekday() >= 5
            assert all(reply.ts > message.ts for reply in message.replies)
    assert weekend / total < 0.06
    assert {"C0GENERAL", "C0PRODUCT", "C0ENGINEERING"} <= set(company.team.channels)
