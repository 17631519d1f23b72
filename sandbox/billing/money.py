"""Rounding and recurring value: the few formulas that the truth and the invoices share."""

from __future__ import annotations

from sandbox.billing.models import Coupon, Discount, Item, Price

#: Months in one interval as a fraction: a year is 12 months, a week 12/52 of one, a day 12/365.
_MONTHS = {"year": (12, 1), "month": (1, 1), "week": (12, 52), "day": (12, 365)}


def divide(numerator: int, denominator: int) -> int:
    """A whole quotient, halves rounded away from zero as SQL's ``round`` does."""
    quotient, rest = divmod(abs(numerator), denominator)
    quotient += 2 * rest >= denominator
    return quotient if numerator >= 0 else -quotient


def coupon_amount(coupon: Coupon, amount: int) -> int:
    """What a coupon takes off an amount, never more than the amount."""
    if coupon.percent_off is not None:
        return divide(amount * round(coupon.percent_off * 100), 10_000)
    return min(amount, coupon.amount_off or 0)


def monthly(price: Price, quantity: int, discount: Discount | None = None) -> int:
    """Monthly recurring value of one item in minor units, rounded once.

    Metered, one-off and free prices are worth 0. A discount that recurs (``repeating`` or ``forever``) counts, one for
    a single invoice (``once``) does not.
    """
    if price.metered or price.interval is None or not price.unit_amount:
        return 0
    net = price.unit_amount * quantity
    if discount is not None and discount.coupon.duration != "once":
        net -= coupon_amount(discount.coupon, net)
    months, per = _MONTHS[price.interval]
    return divide(net * per, months * price.interval_count)


def item_value(item: Item, discount: Discount | None = None) -> int:
    """``monthly`` of a subscription item as it stands."""
    return monthly(item.price, item.quantity, discount)
