"""Dashboards in a real browser: charts are drawn, nothing overflows, nothing complains, in light and dark, on both sizes.

With SHOTS=folder each page is kept there as a picture, to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.conftest import Reader
from tests.browser.test_pages import overflow
from tests.portal.views.dashboards import documented, with_dashboards

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]

WIDTHS = pytest.mark.parametrize("width", [1280, 360], ids=["desk", "phone"])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
CHARTS = {"executive": 2, "mrr": 2, "retention": 3}


def keep(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def drawn(page: Page, count: int) -> None:
    """Every chart has its bars or lines, in its own section."""
    for index in range(count):
        expect(page.locator("[data-chart]").nth(index).locator(".trace").first).to_be_attached(timeout=20_000)


@WIDTHS
@SCHEMES
def test_every_dashboard_is_drawn_fits_and_is_quiet(reader: Reader, width, scheme):
    with_dashboards()
    documented()
    for key, charts in CHARTS.items():
        page = reader.open(reverse("dashboard", args=[key]), scheme)
        drawn(page, charts)
        assert overflow(page) == 0, key
        keep(page, f"{key}-{width}-{scheme}")
        page.close()
    assert reader.complaints == []
