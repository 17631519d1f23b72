"""What the company sells: products, prices and coupons, all made on the day billing moved to Stripe."""

from __future__ import annotations

from sandbox.billing.models import Coupon, Interval, Price, Product
from sandbox.ids import Ids

#: (key, product, nickname, currency, unit amount, interval, interval count)
_PRICES: list[tuple[str, str, str, str, int, Interval, int]] = [
    ("free", "Free", "Free", "usd", 0, "month", 1),
    ("team-month", "Team", "Team monthly", "usd", 2500, "month", 1),
    ("team-quarter", "Team", "Team quarterly", "usd", 7200, "month", 3),
    ("team-year", "Team", "Team annual", "usd", 26000, "year", 1),
    ("team-week", "Team", "Team weekly (2022)", "usd", 1000, "week", 1),
    ("business-month", "Business", "Business monthly", "usd", 4500, "month", 1),
    ("business-quarter", "Business", "Business quarterly", "usd", 12900, "month", 3),
    ("business-half", "Business", "Business half-yearly", "usd", 25000, "month", 6),
    ("business-year", "Business", "Business annual", "usd", 47000, "year", 1),
    ("team-month-eur", "Team", "Team monthly EUR", "eur", 2300, "month", 1),
    ("team-year-eur", "Team", "Team annual EUR", "eur", 24000, "year", 1),
    ("business-month-eur", "Business", "Business monthly EUR", "eur", 4200, "month", 1),
    ("team-month-gbp", "Team", "Team monthly GBP", "gbp", 2000, "month", 1),
    ("business-month-gbp", "Business", "Business monthly GBP", "gbp", 3600, "month", 1),
    ("analytics-month", "Analytics", "Analytics monthly", "usd", 9900, "month", 1),
    ("analytics-quarter", "Analytics", "Analytics quarterly", "usd", 28500, "month", 3),
    ("support-year", "Premium support", "Premium support annual", "usd", 200000, "year", 1),
]
_PRODUCTS = {
    "Free": "Up to three people, one project.",
    "Team": "Unlimited projects for one team, a price per seat.",
    "Business": "Single sign-on, audit log and several teams, a price per seat.",
    "Analytics": "Dashboards over all projects.",
    "Premium support": "Answers within an hour, all year.",
    "API": "Calls to the API beyond the fair use, billed by use.",
    "Onboarding": "Two days of help with moving in.",
}


class Catalog:
    """Products, prices and coupons by short keys of our own (``team-month``)."""

    def __init__(self, ids: Ids, created: int) -> None:
        self.products = {
            name: Product(ids.stripe("prod"), name, text, created + n, created + n)
            for n, (name, text) in enumerate(_PRODUCTS.items())
        }
        self.prices: dict[str, Price] = {}
        moment = created + len(_PRODUCTS)
        for key, product, nickname, currency, amount, interval, count in _PRICES:
            moment += 1
            self.prices[key] = Price(
                ids.stripe("price"),
                self.products[product],
                nickname,
                currency,
                moment,
                amount,
                str(amount),
                interval,
                count,
                active=key != "team-week",
            )
        self.prices["api-month"] = Price(
            ids.stripe("price"),
            self.products["API"],
            "API calls",
            "usd",
            moment + 1,
            None,
            "0.2",
            "month",
            metered=True,
        )
        self.prices["onboarding"] = Price(
            ids.stripe("price"),
            self.products["Onboarding"],
            "Onboarding",
            "usd",
            moment + 2,
            150000,
            "150000",
            interval=None,
        )
        self.coupons = {
            coupon.id: coupon
            for coupon in (
                Coupon("WELCOME20", "20% off your first invoice", created + 40, "once", percent_off=20.0),
                Coupon("LAUNCH50", "50% off for three months", created + 41, "repeating", percent_off=50.0, months=3),
                Coupon("STAY30", "30% off for three months", created + 42, "repeating", percent_off=30.0, months=3),
                Coupon("NONPROFIT25", "Non-profit, 25% off", created + 43, "forever", percent_off=25.0),
                Coupon("FRIEND50", "$50 off", created + 44, "forever", amount_off=5000, currency="usd"),
            )
        }

    def sibling(self, price: Price, product: str) -> Price | None:
        """The price of another product in the same currency and rhythm, if there is one."""
        for other in self.prices.values():
            if (
                other.product.name == product
                and other.active
                and (other.currency, other.interval, other.interval_count)
                == (price.currency, price.interval, price.interval_count)
            ):
                return other
        return None
