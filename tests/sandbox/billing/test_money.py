"""Rounding: halves go away from zero, as SQL's round has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.billing.models import Coupon
from sandbox.billing.money import coupon_amount, divide


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [(5, 2, 3), (-5, 2, -3), (4, 3, 1), (-4, 3, -1), (0, 7, 0), (200000, 12, 16667)],
)
def test_halves_go_away_from_zero(numerator, denominator, quotient):
    assert divide(numerator, denominator) == quotient


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_a_quotient_is_never_further_off_than_a_half(numerator, denominator):
    assert abs(2 * (divide(numerator, denominator) * denominator - numerator)) <= denominator


def test_a_coupon_never_takes_off_more_than_there_is():
    assert coupon_amount(Coupon("A", "", 0, "forever", amount_off=5000), 3000) == 3000
    assert coupon_amount(Coupon("B", "", 0, "forever", percent_off=25.5), 10000) == 2550
