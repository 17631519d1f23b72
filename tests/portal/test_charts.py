"""The geometry of an honest axis."""

from __future__ import annotations

import pytest

from portal import charts


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (1, 1), (171_204, 200_000), (200_000, 200_000), (200_001, 250_000), (0.7, 0.8), (9.5, 10)],
)
def test_the_axis_ends_at_a_round_number(value, top):
    assert charts.ceiling(value) == pytest.approx(top)


def test_the_axis_begins_at_zero():
    chart = charts.area([100, 200])
    assert chart.top == 200
    assert chart.line == "M0.0 20.0L100.0 0.0"


def test_a_month_that_is_not_over_is_drawn_apart():
    chart = charts.area([1, 1, 1], is_last_partial=True)
    assert chart.line == "M0.0 0.0L50.0 0.0"
    assert chart.partial == "M50.0 0.0L100.0 0.0"


def test_one_point_is_no_trend():
    assert charts.area([5]) is None
    assert charts.area([]) is None


def test_what_is_below_zero_is_drawn_at_zero():
    assert charts.area([-5, 10]).line.startswith("M0.0 40.0")
