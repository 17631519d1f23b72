"""The sales people at work: companies and contacts, deals on their way through the stages, owners who come and go.

A deal that will be won belongs to a prospect of the market: it is won in the moment in which the customer's
subscription begins, and its amount is then twelve times the MRR it begins with. For each of them some other deals are
lost. Every move is written into ``book``, which is the truth (``sandbox.truth_sales``).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from sandbox import names
from sandbox.billing.market import Prospect
from sandbox.billing.models import Customer, Subscription
from sandbox.billing.money import item_value, monthly
from sandbox.crm import LOST, OPEN_STAGES, WON, Company, Contact, Crm, Deal, Owner, Stay
from sandbox.ids import Ids
from sandbox.timeline import DAY, Timeline, office_time

#: Of the deals that are closed, this share is won.
WIN_RATE = 0.25
#: Days until a deal is lost: the median and how far it spreads.
_LOSING_DAYS, _LOSING_SPREAD = 48.0, 0.8
_JOBS = ("Head of Operations", "CTO", "Founder", "Project Manager", "Finance Lead", "IT Manager", "Team Lead", None)
_SOURCES = ("ORGANIC_SEARCH", "DIRECT_TRAFFIC", "REFERRALS", "PAID_SEARCH", "EMAIL_MARKETING", "OFFLINE")
_INDUSTRIES = ("COMPUTER_SOFTWARE", "MARKETING_AND_ADVERTISING", "CONSTRUCTION", "LOGISTICS_AND_SUPPLY_CHAIN",
               "HIGHER_EDUCATION", "DESIGN", "HOSPITAL_HEALTH_CARE")  # fmt: skip
_LOST_REASONS = ("Too expensive", "No budget this year", "Chose a competitor", "No answer any more", "Missing feature")
_COMPETITORS = ("Plankton", "Gridworks", "Moorings", "spreadsheets")
_LEAVES_AFTER = 400 * DAY


@dataclass(frozen=True, slots=True)
class Move:
    """The truth: at this moment this deal came into this stage."""

    deal: int
    stage: str
    moment: int


class Sales:
    """Fills a CRM. Every decision is drawn from one generator in the order in which things happen."""

    def __init__(self, timeline: Timeline, ids: Ids, rng: random.Random, *, taken: set[str]) -> None:
        self.timeline = timeline
        self.rng = rng
        self.crm = Crm(ids)
        #: Every move of every deal in the order in which it happened.
        self.book: list[Move] = []
        #: Companies that use the product, or did once.
        self.customers: list[Company] = []
        self._taken = taken
        self._start = timeline.now
        self._winning: dict[str, Deal] = {}  # by the company's domain
        self._people: set[str] = set()
        for index in range(5):
            self._hire(self._start - (700 - 90 * index) * DAY)
        timeline.at(self._start + _LEAVES_AFTER, self._somebody_leaves)
        timeline.at(office_time(self._start + 20 * DAY), self._next_fair)

    # -- owners ----------------------------------------------------------------------------------------------------

    def _hire(self, moment: int) -> Owner:
        while (name := names.person(self.rng)) in self._people:
            pass
        self._people.add(name)
        number = len(self.crm.owners)
        owner = Owner(
            id=31_871_817 + number * 83,
            user_id=2_506_672 + number * 911,
            name=name,
            email=f"{names.local_part(name)}@tidewater.example",
            created_at=moment,
            updated_at=moment,
        )
        self.crm.owners[owner.id] = owner
        return owner

    def _owner(self) -> Owner:
        return self.rng.choice([owner for owner in self.crm.owners.values() if not owner.archived])

    def _somebody_leaves(self) -> None:
        """One of the sales people leaves; everything of theirs is handed over in one go."""
        now = self.timeline.now
        leaver, heir = next(iter(self.crm.owners.values())), self._hire(now)
        leaver.archived, leaver.updated_at = True, now
        for record in (*self.crm.companies.values(), *self.crm.contacts.values(), *self.crm.deals.values()):
            if record.owner is leaver and record.archived_at is None:
                record.owner, record.updated_at = heir, now

    # -- companies and people --------------------------------------------------------------------------------------

    def _company(self, name: str, domain: str, country: str, moment: int) -> Company:
        company = Company(
            id=self.crm.next_id("companies"),
            created_at=moment,
            updated_at=moment,
            owner=self._owner(),
            name=name,
            domain=domain,
            country=country,
            industry=self.rng.choice(_INDUSTRIES),
            employees=max(3, round(self.rng.lognormvariate(4.0, 1.0))),
        )
        self.crm.add_company(company)
        return company

    def _contact(self, company: Company | None, name: str, email: str, moment: int, source: str = "") -> Contact:
        first, last = name.split(" ", 1)
        contact = Contact(
            id=self.crm.next_id("contacts"),
            created_at=moment,
            updated_at=moment,
            owner=company.owner if company else None,
            first_name=first,
            last_name=last,
            email=email,
            job=self.rng.choice(_JOBS),
            source=source or self.rng.choice(_SOURCES),
            company=company,
            lifecycle=company.lifecycle if company else "lead",
        )
        self.crm.add_contact(contact)
        draw = self.rng.random()
        if draw < 0.03:
            self.timeline.at(office_time(moment + self.rng.uniform(2, 90) * DAY), self._doubles, contact)
        elif draw < 0.06:
            self.timeline.at(office_time(moment + self.rng.uniform(20, 400) * DAY), self._forget, contact)
        return contact

    def _colleagues(self, company: Company, count: int, moment: int) -> list[Contact]:
        found = []
        for _ in range(count):
            name = names.person(self.rng)
            found.append(self._contact(company, name, f"{names.local_part(name)}@{company.domain}", moment))
        return found

    def _doubles(self, contact: Contact) -> None:
        """The same person once more, by a form with another address; somebody will notice."""
        if contact.archived_at is not None or contact.id not in self.crm.contacts:
            return
        now = self.timeline.now
        local, _, domain = contact.email.partition("@")
        name = f"{contact.first_name} {contact.last_name}"
        double = self._contact(contact.company, name, f"{local}+web@{domain}", now, "ORGANIC_SEARCH")
        self.timeline.at(office_time(now + self.rng.uniform(1, 12) * DAY), self._merge, contact, double)

    def _merge(self, kept: Contact, gone: Contact) -> None:
        if all(each.archived_at is None and each.id in self.crm.contacts for each in (kept, gone)):
            self.crm.merge(kept, gone, self.timeline.now)

    def _forget(self, contact: Contact) -> None:
        """Somebody asks to be deleted."""
        if contact.id in self.crm.contacts and contact.archived_at is None:
            contact.archived_at = self.timeline.now

    def _next_fair(self) -> None:
        """A list of leads is imported, all in the same moment."""
        self.import_list(self.rng.randint(8, 25))
        self.timeline.at(office_time(self.timeline.now + self.rng.uniform(70, 110) * DAY), self._next_fair)

    def import_list(self, count: int) -> list[Contact]:
        """So many new contacts without a company, made now."""
        found = []
        for _ in range(count):
            name = names.person(self.rng)
            email = f"{names.local_part(name)}.{self.rng.randint(1, 10**6)}@fair.example"
            found.append(self._contact(None, name, email, self.timeline.now, "OFFLINE"))
        return found

    # -- customers -------------------------------------------------------------------------------------------------

    def sign_up(self, customer: Customer, seats: int, plan: str) -> None:
        """A company begins to use the product; sales may know it already."""
        now = self.timeline.now
        local, _, domain = customer.email.partition("@")
        company = self.crm.by_domain.get(domain)
        if company is None:
            company = self._company(customer.name, domain, customer.country, now)
            source = "OFFLINE" if "imported" in customer.metadata else ""
            self._contact(company, local.replace(".", " ").title(), customer.email, now, source)
            if "imported" in customer.metadata:
                self._colleagues(company, self.rng.choice((0, 1, 1, 2, 3)), now)
        company.stripe_customer, company.plan, company.subscription_status = customer.id, plan, "active"
        company.updated_at = now
        if plan == "trial":
            company.subscription_status = "trialing"
        elif plan != "free":
            self._becomes(company, "customer", now)
        self.customers.append(company)

    def follow(self, subscription: Subscription) -> None:
        """What the billing system tells the CRM: plan and status of the customer's main subscription."""
        company = self.crm.by_domain.get(subscription.customer.email.partition("@")[2])
        if company is None or subscription.items[0].price.product.name == "Premium support":
            return
        told = (subscription.items[0].price.product.name.lower(), subscription.status)
        if (company.plan, company.subscription_status) == told:
            return
        company.plan, company.subscription_status = told
        company.updated_at = self.timeline.now
        if subscription.status == "active" and subscription.ever_paid:
            self._becomes(company, "customer", self.timeline.now)

    def _becomes(self, company: Company, lifecycle: str, moment: int) -> None:
        records: list[Company | Contact] = [company, *self.crm.people[company.id]]
        for record in records:
            if record.lifecycle not in (lifecycle, "customer") and record.archived_at is None:
                record.lifecycle, record.updated_at = lifecycle, max(moment, record.updated_at)

    # -- deals -----------------------------------------------------------------------------------------------------

    def prospect(self, prospect: Prospect) -> None:
        """A deal begins that will be won, and some others that will not."""
        value = 12 * monthly(prospect.price, prospect.seats)
        domain = prospect.email.partition("@")[2]
        company = self._company(prospect.name, domain, prospect.country, prospect.opened_at)
        person = prospect.email.partition("@")[0].replace(".", " ").title()
        first = self._contact(company, person, prospect.email, prospect.opened_at)
        deal = self._deal(company, first, value, prospect.currency, prospect.seats, prospect.opened_at)
        self._winning[domain] = deal
        self._plan(deal, self._way(prospect.opened_at, prospect.buys_at, len(OPEN_STAGES)))
        while self.rng.random() < 1 - WIN_RATE:
            moment = office_time(prospect.opened_at + self.rng.uniform(0, 9) * DAY)
            self.timeline.at(moment, self._in_vain, value, prospect.currency, prospect.seats, moment)

    def won(self, prospect: Prospect, subscription: Subscription) -> None:
        """The customer has bought."""
        deal = self._winning.pop(prospect.email.partition("@")[2])
        deal.amount = 12 * sum(item_value(item, subscription.discount) for item in subscription.items)
        self._move(deal, WON, self.timeline.now)

    def _in_vain(self, value: int, currency: str, seats: int, moment: int) -> None:
        """A deal begins that will be lost. ``moment``: before the history's first day it lies earlier than now."""
        name, domain = names.company(self.rng, self._taken)
        country = {"usd": "US", "eur": "DE", "gbp": "GB"}[currency]
        company = self._company(name, domain, country, moment)
        person = names.person(self.rng)
        first = self._contact(company, person, f"{names.local_part(person)}@{domain}", moment)
        factor = self.rng.uniform(0.5, 1.8)
        deal = self._deal(company, first, round(value * factor), currency, max(1, round(seats * factor)), moment)
        days = min(300.0, max(2.0, self.rng.lognormvariate(math.log(_LOSING_DAYS), _LOSING_SPREAD)))
        ends = office_time(moment + days * DAY)
        reached = self.rng.choices((1, 2, 3, 4, 5), (28, 30, 22, 12, 8))[0]
        way = [*self._way(moment, ends, reached), (ends, LOST)]
        if self.rng.random() < 0.06:
            again = office_time(ends + self.rng.uniform(15, 50) * DAY)
            way += [(again, OPEN_STAGES[1]), (office_time(again + self.rng.uniform(10, 40) * DAY), LOST)]
        self._plan(deal, way)
        if self.rng.random() < 0.04:
            self.timeline.at(way[-1][0] + 30 * DAY, self._clean_up, deal)

    def _deal(self, company: Company, first: Contact, value: int, currency: str, seats: int, moment: int) -> Deal:
        guess = max(100_00, round(round(value * self.rng.uniform(0.8, 1.25)), -4))
        contacts = [first, *self._colleagues(company, self.rng.choice((0, 0, 1, 2)), moment)]
        deal = Deal(
            id=self.crm.next_id("deals"),
            created_at=moment,
            updated_at=moment,
            owner=company.owner,
            name=f"{company.name} - New deal",
            company=company,
            contacts=contacts,
            amount=guess,
            currency=currency,
            seats=seats,
        )
        self.crm.add_deal(deal)
        self._becomes(company, "opportunity", moment)
        return deal

    def _way(self, begins: int, ends: int, reached: int) -> list[tuple[int, str]]:
        """Moments and stages from the first talk on, the end left out: some are jumped over, some come twice."""
        stages = [
            stage
            for number, stage in enumerate(OPEN_STAGES[:reached])
            if number == 0 or number == reached - 1 or self.rng.random() > 0.1
        ]
        draw = self.rng.random()
        if draw < 0.10 and len(stages) > 2:
            stages += [stages[-2], stages[-1]]  # one step back, and forward again
        elif draw < 0.14 and len(stages) > 2:
            stages += [LOST, stages[1], stages[-1]]  # given up, and opened again
        shares = sorted(self.rng.random() for _ in stages[1:])
        moments = [begins]
        for share in shares:
            moments.append(max(moments[-1] + 15 * 60, office_time(begins + share * (ends - begins))))
        # no step may come at or after the end
        late = [moment for moment in moments if moment >= ends]
        return list(zip(moments[: len(moments) - len(late)], stages, strict=False))

    def _plan(self, deal: Deal, way: list[tuple[int, str]]) -> None:
        """Let a deal go its way; what lies before the history's first day has happened already."""
        for moment, stage in way:
            if moment <= self.timeline.now:
                self._move(deal, stage, moment)
            else:
                self.timeline.at(moment, self._move, deal, stage, moment)

    def _move(self, deal: Deal, stage: str, moment: int) -> None:
        if deal.archived_at is not None:
            return
        user = deal.owner.user_id if deal.owner else 0
        deal.history.append(Stay(stage, moment, user))
        self.book.append(Move(deal.id, stage, moment))
        deal.updated_at = max(deal.updated_at, moment)
        deal.closed_at = moment if stage in (WON, LOST) else None
        if stage == LOST:
            deal.lost_reason = self.rng.choice(_LOST_REASONS)
            deal.competitor = self.rng.choice(_COMPETITORS) if deal.lost_reason == "Chose a competitor" else None
        else:
            deal.lost_reason = deal.competitor = None

    def _clean_up(self, deal: Deal) -> None:
        """Somebody deletes a lost deal with its company and people."""
        now = self.timeline.now
        for record in (deal, deal.company, *self.crm.people[deal.company.id]):
            record.archived_at = record.archived_at or now
