"""What the billing system knows: plain records, changed in place as time goes by. Money is in minor units, times in epoch seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Interval = Literal["day", "week", "month", "year"]


@dataclass(slots=True)
class Product:
    id: str
    name: str
    description: str
    created: int
    updated: int
    active: bool = True


@dataclass(slots=True)
class Price:
    """``unit_amount`` is None for the metered price, whose unit costs a part of a cent (``unit_amount_decimal``)."""

    id: str
    product: Product
    nickname: str
    currency: str
    created: int
    unit_amount: int | None
    unit_amount_decimal: str
    interval: Interval | None = "month"
    interval_count: int = 1
    metered: bool = False
    active: bool = True


@dataclass(slots=True)
class Coupon:
    id: str
    name: str
    created: int
    duration: Literal["once", "repeating", "forever"]
    percent_off: float | None = None
    amount_off: int | None = None
    currency: str | None = None
    months: int | None = None
    times_redeemed: int = 0


@dataclass(slots=True)
class Discount:
    """A coupon given to one subscription, from ``start`` until ``end`` (None: for ever, or until used once)."""

    id: str
    coupon: Coupon
    customer: str
    subscription: str
    start: int
    end: int | None


@dataclass(slots=True)
class Customer:
    id: str
    created: int
    name: str
    email: str
    currency: str
    country: str
    invoice_prefix: str
    card: str | None
    card_brand: str
    card_last4: str
    metadata: dict[str, str] = field(default_factory=dict)
    #: Negative means the company owes the customer (credit from a downgrade).
    balance: int = 0
    delinquent: bool = False
    next_sequence: int = 1
    #: Payments fail until this moment.
    card_fails_until: int = 0
    deleted: bool = False


@dataclass(slots=True)
class Item:
    id: str
    created: int
    price: Price
    quantity: int
    subscription: str
    #: With which discount its running period was charged: a coupon that ends meanwhile changes nothing until the next.
    discount: Discount | None = None


@dataclass(slots=True)
class Subscription:
    id: str
    created: int
    customer: Customer
    currency: str
    status: str
    anchor: int
    period_start: int
    period_end: int
    items: list[Item] = field(default_factory=list)
    discount: Discount | None = None
    trial_start: int | None = None
    trial_end: int | None = None
    missing_payment_method: str = "create_invoice"
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    canceled_at: int | None = None
    ended_at: int | None = None
    cancel_reason: str | None = None
    cancel_feedback: str | None = None
    pause_behavior: str | None = None
    pause_resumes_at: int | None = None
    latest_invoice: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    #: Below: what the simulation remembers and no API shows.
    cycles: int = 0
    unpaid: list[Invoice] = field(default_factory=list)
    written_off: bool = False
    skipped: bool = False
    waiting: list[tuple[Item, Price, int]] = field(default_factory=list)
    waiting_coupon: Coupon | None = None
    pending: list[Line] = field(default_factory=list)
    draft: bool = False
    ever_paid: bool = False

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None


@dataclass(slots=True)
class Line:
    id: str
    amount: int
    description: str
    price: Price
    quantity: int
    period_start: int
    period_end: int
    proration: bool = False
    one_off: bool = False
    subscription: str | None = None
    item: str | None = None
    invoice_item: str | None = None
    discount: Discount | None = None
    discount_amount: int = 0
    tax: int = 0
    #: The line this one gives credit for: (invoice id, line id).
    credits: tuple[str, str] | None = None


@dataclass(slots=True)
class InvoiceItem:
    """What a line that is no period is made from; ``invoice`` is None while it waits for the next one."""

    id: str
    created: int
    customer: Customer
    line: Line
    invoice: str | None = None


@dataclass(slots=True)
class Invoice:
    id: str
    created: int
    customer: Customer
    currency: str
    billing_reason: str
    period_start: int
    period_end: int
    lines: list[Line]
    subscription: Subscription | None = None
    discount: Discount | None = None
    status: str = "draft"
    number: str | None = None
    charge: str | None = None
    payment_intent: str | None = None
    amount_due: int = 0
    amount_paid: int = 0
    starting_balance: int = 0
    ending_balance: int | None = None
    attempt_count: int = 0
    next_payment_attempt: int | None = None
    auto_advance: bool = True
    finalized_at: int | None = None
    paid_at: int | None = None
    voided_at: int | None = None
    marked_uncollectible_at: int | None = None

    @property
    def subtotal(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def discount_total(self) -> int:
        return sum(line.discount_amount for line in self.lines)

    @property
    def tax(self) -> int:
        return sum(line.tax for line in self.lines)

    @property
    def total(self) -> int:
        return self.subtotal - self.discount_total + self.tax


@dataclass(slots=True)
class Refund:
    id: str
    created: int
    charge: str
    payment_intent: str
    amount: int
    currency: str
    reason: str | None


@dataclass(slots=True)
class Charge:
    id: str
    created: int
    customer: Customer
    invoice: str
    payment_intent: str
    amount: int
    currency: str
    description: str
    status: str
    failure_code: str | None = None
    amount_refunded: int = 0
    refunds: list[Refund] = field(default_factory=list)
