"""The truth book: what every subscription is really worth, written down while it happens."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sandbox.billing.models import Subscription


@dataclass(frozen=True, slots=True)
class Entry:
    """From ``moment`` on the subscription is worth ``value`` minor units a month. ``why``: change, pause or churn."""

    moment: int
    customer: str
    subscription: str
    currency: str
    value: int
    why: str


class TruthBook:
    """Entries in the order of time; an entry is made only when the value changes."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._values: dict[str, int] = {}
        self._totals: dict[str, int] = defaultdict(int)

    def record(self, moment: int, subscription: Subscription, value: int, why: str) -> None:
        """Note the value of a subscription from this moment on."""
        before = self._values.get(subscription.id, 0)
        if before == value:
            return
        self._totals[subscription.currency] += value - before
        self._values[subscription.id] = value
        self.entries.append(Entry(moment, subscription.customer.id, subscription.id, subscription.currency, value, why))

    def value(self, subscription: Subscription) -> int:
        """What a subscription is worth now."""
        return self._values.get(subscription.id, 0)

    def total(self, currency: str) -> int:
        """What all subscriptions of one currency are worth now, in its minor units."""
        return self._totals[currency]
