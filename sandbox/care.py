"""Tickets: what customers ask the people who look after them."""

from __future__ import annotations

import random

from sandbox.crm import Company, Ticket
from sandbox.sales import Sales
from sandbox.timeline import DAY, HOUR, Timeline, office_time

TICKETS_PER_MONTH = 22.0
_QUESTIONS = (
    ("Invoice has the wrong address", "BILLING_ISSUE"),
    ("How do we add a whole team at once?", "GENERAL_INQUIRY"),
    ("Export stops after a while", "PRODUCT_ISSUE"),
    ("Single sign-on for our domain", "FEATURE_REQUEST"),
    ("Cannot invite a colleague", "PRODUCT_ISSUE"),
    ("Change the owner of our workspace", "GENERAL_INQUIRY"),
    ("Charged twice this month?", "BILLING_ISSUE"),
)


class Care:
    """Tickets go through their stages; some wait long."""

    def __init__(self, timeline: Timeline, rng: random.Random, sales: Sales, *, scale: float) -> None:
        self.timeline = timeline
        self.rng = rng
        self.sales = sales
        self._gap = 30 * DAY / (TICKETS_PER_MONTH * scale)
        timeline.at(timeline.now + 2 * DAY, self._next)

    def _next(self) -> None:
        self.timeline.at(self.timeline.now + max(60, round(self.rng.expovariate(1 / self._gap))), self._next)
        company: Company = self.rng.choice(self.sales.customers)
        people = [contact for contact in self.sales.crm.people[company.id] if contact.archived_at is None]
        if not people or company.archived_at is not None:
            return
        now = self.timeline.now
        subject, category = self.rng.choice(_QUESTIONS)
        ticket = Ticket(
            id=self.sales.crm.next_id("tickets"),
            created_at=now,
            updated_at=now,
            owner=company.owner,
            subject=subject,
            text=f"Hello, {subject[0].lower()}{subject[1:]}. Can you help?",
            priority=self.rng.choices(("LOW", "MEDIUM", "HIGH"), (45, 40, 15))[0],
            category=category,
            source=self.rng.choice(("EMAIL", "CHAT", "FORM", "PHONE")),
            company=company,
            contact=self.rng.choice(people),
        )
        self.sales.crm.add_ticket(ticket)
        wait = self.rng.lognormvariate(1.5, 1.0) * HOUR
        self.timeline.at(office_time(now + wait), self._answer, ticket)

    def _answer(self, ticket: Ticket) -> None:
        """One step on: usually to and fro, and then it is done."""
        now = self.timeline.now
        ticket.updated_at = now
        if ticket.stage == "1" or self.rng.random() < 0.35:
            ticket.stage = "3" if ticket.stage == "2" else "2"
        else:
            ticket.stage, ticket.closed_at = "4", now
            return
        self.timeline.at(office_time(now + self.rng.lognormvariate(2.6, 1.0) * HOUR), self._answer, ticket)
