"""The simulated company: one world, built from a seed, that moves on with time."""

from __future__ import annotations

import random
import threading
from typing import Any

from sandbox.billing.book import TruthBook
from sandbox.billing.catalog import Catalog
from sandbox.billing.journal import Journal
from sandbox.billing.ledger import Ledger
from sandbox.billing.market import Market
from sandbox.billing.models import (
    Charge,
    Coupon,
    Customer,
    Discount,
    Invoice,
    InvoiceItem,
    Price,
    Product,
    Refund,
    Subscription,
)
from sandbox.care import Care
from sandbox.doors import stripe_objects
from sandbox.doors.github_objects import GithubWriter
from sandbox.doors.stripe_invoices import InvoiceWriter
from sandbox.engineering import Engineering
from sandbox.finance import Finance
from sandbox.ids import Ids
from sandbox.product import Product as ProductUse
from sandbox.sales import Sales
from sandbox.support import Support
from sandbox.team import Team
from sandbox.timeline import HOUR, Timeline, add_months, month_start

HISTORY_MONTHS = 24


class Company:
    """All parts of the world on one timeline.

    ``opened_at`` is the moment the world was first looked at; its history begins on the first day of the month 24 months
    earlier. The same seed, scale and opening give the same world at the same moment, however it got there.
    """

    def __init__(self, *, seed: int, opened_at: int, scale: float = 1.0) -> None:
        if scale <= 0:
            raise ValueError("The scale of the company has to be above 0.")
        self.seed, self.scale, self.opened_at = seed, scale, opened_at
        self.start = add_months(month_start(opened_at), -HISTORY_MONTHS)
        #: Held while the world moves or is read.
        self.lock = threading.RLock()
        self.stripe_url = "https://billing.tidewater.example"
        self.ids = Ids(seed)
        self.timeline = Timeline(self.start, opened_at)
        self.catalog = Catalog(self.ids, self.start + HOUR)
        self.book = TruthBook()
        self.journal = Journal(self.timeline, self.ids, self.draw)
        self.ledger = Ledger(
            self.timeline, self.ids, self._generator("billing"), self.catalog, self.book, self._happened
        )
        self.market = Market(self.timeline, self._generator("market"), self.ledger, scale=scale, opened_at=opened_at)
        self.writer = InvoiceWriter(self.ledger, lambda: self.stripe_url)
        self.sales = Sales(self.timeline, self.ids, self._generator("sales"), taken=self.market.taken)
        self.market.on_prospect, self.market.on_sale = self.sales.prospect, self.sales.won
        self.market.on_sign_up = self._signed_up
        self.product = ProductUse(
            self.timeline, self.ids, self._generator("product"), seed=seed, scale=scale, opened_at=opened_at
        )
        self.market.leaving = self.product.leaving
        self.market.open(self.start)
        self.care = Care(self.timeline, self._generator("care"), self.sales, scale=scale)
        self.engineering = Engineering(self.timeline, self.ids, self._generator("engineering"), scale=scale)
        self.github_writer = GithubWriter(self.engineering)
        self.team = Team(
            self.timeline, self.ids, self._generator("team"), scale=scale, engineers=self.engineering.people
        )
        self.support = Support(
            self.timeline,
            self.ids,
            self._generator("support"),
            self.product,
            self.team.of("Support"),
            scale=scale,
        )
        self.finance = Finance(self.timeline, self._generator("finance"), self.book, start=self.start)

    @property
    def now(self) -> int:
        """How far the world has come, in epoch seconds."""
        return self.timeline.now

    def run(self, until: int) -> None:
        """Let the world move on to a moment; a moment that has passed changes nothing."""
        with self.lock:
            self.timeline.run(until)
            self.journal.forget()

    def _happened(self, kind: str, record: Any) -> None:
        self.journal.note(kind, record)
        if isinstance(record, Subscription) and kind != "customer.subscription.created":
            self.product.follow(record)
            self.sales.follow(record)

    def _signed_up(self, customer: Customer, seats: int, plan: str) -> None:
        self.product.sign_up(customer, seats, plan)
        self.sales.sign_up(customer, seats, plan)

    def draw(self, record: Any) -> dict[str, Any]:
        """A record of the billing system as Stripe shows it."""
        match record:
            case Invoice():
                return self.writer.invoice(record)
            case InvoiceItem():
                return self.writer.invoice_item(record)
            case Charge():
                return self.writer.charge(record)
            case Refund():
                return self.writer.refund(record)
            case Customer():
                return stripe_objects.customer(record)
            case Subscription():
                return stripe_objects.subscription(record)
            case Discount():
                return stripe_objects.discount(record)
            case Product():
                return stripe_objects.product(record)
            case Price():
                return stripe_objects.price(record)
            case Coupon():
                return stripe_objects.coupon(record)
        raise TypeError(f"Stripe has no object for {type(record).__name__}.")

    def _generator(self, part: str) -> random.Random:
        return random.Random(f"{self.seed}:{part}")
