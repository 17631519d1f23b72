"""The truth book: what every subscription is really worth, written down while it happens."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sandbox.billing.models import Subscription


@dataclass(frozen=True, slots=True)
class Entry:
    """From ``moment`` on the subscription is worth ``value`` minor units a month. ``why``: change, pause or churn.

    ``service_start`` is the first moment of the service period the value belongs to (its exchange rate counts).
    """

    moment: int
    customer: str
    subscription: str
    currency: str
    value: int
    why: str
    service_start: int


class TruthBook:
    """Entries in the order of time; one is made when the value changes or moves to a new service period, and when a pause
    ends in leaving."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._latest: dict[str, tuple[int, int]] = {}
        self._paused: set[str] = set()
        self._totals: dict[str, int] = defaultdict(int)

    def record(self, moment: int, subscription: Subscription, value: int, why: str) -> None:
        """Note the value of a subscription from this moment on."""
        before, service_start = self._latest.get(subscription.id, (0, 0))
        # at one rate for ever, only the value matters
        moved = subscription.currency != "usd" and value and subscription.period_start != service_start
        is_paused, was_paused = why == "pause", subscription.id in self._paused
        if before == value and not moved and not (was_paused and why == "churn"):
            return
        (self._paused.add if is_paused else self._paused.discard)(subscription.id)
        self._totals[subscription.currency] += value - before
        self._latest[subscription.id] = (value, subscription.period_start)
        self.entries.append(
            Entry(
                moment,
                subscription.customer.id,
                subscription.id,
                subscription.currency,
                value,
                why,
                subscription.period_start,
            )
        )

    def value(self, subscription: Subscription) -> int:
        """What a subscription is worth now, in minor units a month."""
        return self._latest.get(subscription.id, (0, 0))[0]

    def total(self, currency: str) -> int:
        """What all subscriptions of one currency are worth now, in its minor units."""
        return self._totals[currency]
