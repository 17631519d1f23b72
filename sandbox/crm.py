"""What the sales people write down: contacts, companies, deals, tickets and who looks after them.

Plain records, changed in place as time goes by; times in epoch seconds, money in minor units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.ids import Ids

#: (id, label, probability) in the order of the pipeline; the last two are the ends.
DEAL_STAGES = (
    ("appointmentscheduled", "Appointment scheduled", 0.2),
    ("qualifiedtobuy", "Qualified to buy", 0.4),
    ("presentationscheduled", "Presentation scheduled", 0.6),
    ("decisionmakerboughtin", "Decision maker bought-in", 0.8),
    ("contractsent", "Contract sent", 0.9),
    ("closedwon", "Closed won", 1.0),
    ("closedlost", "Closed lost", 0.0),
)
OPEN_STAGES = tuple(stage for stage, _, _ in DEAL_STAGES[:5])
WON, LOST = "closedwon", "closedlost"
#: (id, label, whether the ticket is done)
TICKET_STAGES = (
    ("1", "New", False),
    ("2", "Waiting on contact", False),
    ("3", "Waiting on us", False),
    ("4", "Closed", True),
)


@dataclass(slots=True, kw_only=True)
class Owner:
    id: int
    user_id: int
    name: str
    email: str
    created_at: int
    updated_at: int
    archived: bool = False


@dataclass(slots=True, kw_only=True)
class Record:
    """``merged``: the ids of records that have become part of this one."""

    id: int
    created_at: int
    updated_at: int
    owner: Owner | None = None
    archived_at: int | None = None
    merged: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Company(Record):
    name: str
    domain: str
    country: str
    industry: str
    employees: int
    lifecycle: str = "lead"
    stripe_customer: str | None = None
    plan: str | None = None
    subscription_status: str | None = None


@dataclass(slots=True, kw_only=True)
class Contact(Record):
    first_name: str
    last_name: str
    email: str
    job: str | None
    source: str
    company: Company | None
    lifecycle: str = "lead"


@dataclass(frozen=True, slots=True)
class Stay:
    """From ``entered_at`` on the deal was in this stage."""

    stage: str
    entered_at: int
    user_id: int


@dataclass(slots=True, kw_only=True)
class Deal(Record):
    name: str
    company: Company
    contacts: list[Contact]
    amount: int
    currency: str
    seats: int
    history: list[Stay] = field(default_factory=list)
    closed_at: int | None = None
    lost_reason: str | None = None
    competitor: str | None = None

    @property
    def stage(self) -> str:
        return self.history[-1].stage


@dataclass(slots=True, kw_only=True)
class Ticket(Record):
    subject: str
    text: str
    priority: str
    category: str
    source: str
    company: Company
    contact: Contact
    stage: str = "1"
    closed_at: int | None = None


class Crm:
    """All records by id, in the order in which they were made."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self.owners: dict[int, Owner] = {}
        self.contacts: dict[int, Contact] = {}
        self.companies: dict[int, Company] = {}
        self.deals: dict[int, Deal] = {}
        self.tickets: dict[int, Ticket] = {}
        #: The ids of each kind as they were given, which is also in order of size; merged contacts stay in here.
        self.order: dict[str, list[int]] = {"contacts": [], "companies": [], "deals": [], "tickets": []}
        self.by_domain: dict[str, Company] = {}
        self.people: dict[int, list[Contact]] = {}
        self._deals_of: dict[int, list[Deal]] = {}
        self._tickets_of: dict[int, list[Ticket]] = {}
        #: Contacts that have become part of another: their id and that of the one that stayed.
        self.merged_into: dict[int, int] = {}

    def records(self, kind: str) -> dict[int, Any]:
        """The records of one kind: ``contacts``, ``companies``, ``deals``, ``tickets``."""
        kinds: dict[str, dict[int, Any]] = {
            "contacts": self.contacts,
            "companies": self.companies,
            "deals": self.deals,
            "tickets": self.tickets,
        }
        return kinds[kind]

    def next_id(self, kind: str) -> int:
        """Ids have gaps, and those of one kind tell nothing of those of another."""
        start = {"contacts": 51, "companies": 7_086_461_639, "deals": 6_744_192_456, "tickets": 1_617_456_911}[kind]
        number = self._ids.number(f"crm-{kind}")
        self.order[kind].append(start + number * 50 + (number * 7919) % 37)
        return self.order[kind][-1]

    def add_company(self, company: Company) -> None:
        self.companies[company.id] = self.by_domain[company.domain] = company
        self.people[company.id] = []
        self._deals_of[company.id] = []
        self._tickets_of[company.id] = []

    def add_contact(self, contact: Contact) -> None:
        self.contacts[contact.id] = contact
        if contact.company is not None:
            self.people[contact.company.id].append(contact)

    def add_deal(self, deal: Deal) -> None:
        self.deals[deal.id] = deal
        self._deals_of[deal.company.id].append(deal)

    def add_ticket(self, ticket: Ticket) -> None:
        self.tickets[ticket.id] = ticket
        self._tickets_of[ticket.company.id].append(ticket)

    def merge(self, kept: Contact, gone: Contact, moment: int) -> None:
        """Two contacts turn out to be one person: one takes over what hung on the other, which is no more."""
        del self.contacts[gone.id]
        for former in (*gone.merged, gone.id):
            self.merged_into[former] = kept.id
            kept.merged.append(former)
        kept.updated_at = moment
        if gone.company is None:
            return
        self.people[gone.company.id].remove(gone)
        for deal in self._deals_of[gone.company.id]:
            if any(contact is gone for contact in deal.contacts):
                deal.contacts = [c for c in deal.contacts if c is not gone and c is not kept] + [kept]
        for ticket in self._tickets_of[gone.company.id]:
            if ticket.contact is gone:
                ticket.contact = kept

    def associated(self, record: Any, kind: str) -> Iterable[Any]:
        """The records of this kind that hang together with a record; archived ones no longer do."""
        company = record if isinstance(record, Company) else record.company
        found: list[Any] = []
        match record, kind:
            case ((Contact() | Deal() | Ticket()), "companies"):
                found = [company]
            case Contact(), "deals" if company is not None:
                found = [deal for deal in self._deals_of[company.id] if any(c is record for c in deal.contacts)]
            case Contact(), "tickets" if company is not None:
                found = [ticket for ticket in self._tickets_of[company.id] if ticket.contact is record]
            case Deal(), "contacts":
                found = list(record.contacts)
            case Ticket(), "contacts":
                found = [record.contact]
            case Ticket(), "deals":
                found = [deal for deal in self._deals_of[company.id] if deal.stage == WON]
            case Company(), "contacts":
                found = list(self.people[company.id])
            case Company(), "deals":
                found = list(self._deals_of[company.id])
            case Company(), "tickets":
                found = list(self._tickets_of[company.id])
        return [each for each in found if each is not None and each.archived_at is None]
