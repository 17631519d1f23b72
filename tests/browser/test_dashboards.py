"""Dashboards in a real browser: charts are drawn, nothing overflows, nothing complains, in light and dark, on both sizes.

With SHOTS=folder each page is kept there as a picture, to be looked at.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.conftest import Reader
from tests.browser.test_pages import overflow
from tests.portal.views.dashboards import documented, held, with_dashboards

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


@pytest.mark.parametrize("width", [360], ids=["phone"])
@pytest.mark.parametrize("scripts", [False], ids=["no-script"])
def test_without_script_the_numbers_tables_and_definitions_are_there(reader: Reader, width, scripts):
    with_dashboards()
    documented()
    page = reader.open(reverse("dashboard", args=["mrr"]))
    expect(page.locator(".tile--lead .tile__value")).to_be_visible()
    expect(page.locator("#waterfall .section__finding")).to_contain_text("MRR went from")
    assert page.locator("[data-chart]").first.bounding_box() is None  # no hole where a chart would be
    page.locator("#waterfall").get_by_text("As a table").click()
    expect(page.get_by_role("row", name="Expansion")).to_be_visible()
    page.locator(".tile--lead").get_by_text("What is this?").click()
    expect(page.get_by_text("What mrr of mrr_monthly means.").first).to_be_visible()
    page.get_by_label("Month", exact=True).select_option("2026-03")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".tile--lead dt").first).to_have_text("MRR, March 2026")
    assert overflow(page) == 0


def test_a_choice_is_in_the_address_and_the_back_button_takes_it_back(reader: Reader):
    with_dashboards()
    page = reader.open(reverse("dashboard", args=["retention"]))
    page.get_by_role("link", name="Customers", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?by=customers#ages$"))
    expect(page.get_by_role("heading", name="Cohort by cohort: Customers")).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.get_by_label("Month", exact=True).select_option("2026-03")
    expect(page).to_have_url(re.compile(r"\?by=customers&month=2026-03(#ages)?$"))
    for _ in range(2):
        drawn(page, CHARTS["retention"])
        page.wait_for_load_state("networkidle")
        page.go_back()
    expect(page.get_by_role("heading", name="Cohort by cohort: MRR")).to_be_visible()
    drawn(page, CHARTS["retention"])
    assert reader.complaints == []


def test_a_click_on_a_bar_shows_its_month(reader: Reader):
    with_dashboards()
    page = reader.open(reverse("dashboard", args=["mrr"]))
    drawn(page, CHARTS["mrr"])
    bars = page.locator("[data-chart=months] .bars").first.locator(".point")
    expect(bars).to_have_count(24)
    bars.nth(10).scroll_into_view_if_needed()
    box = bars.nth(10).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("[data-chart=months] .hovertext")).to_be_attached()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile(r"\?month=2025-10$"))
    expect(page.locator(".tile--lead dt").first).to_have_text("MRR, October 2025")
    drawn(page, CHARTS["mrr"])
    assert reader.complaints == []


def test_the_theme_colours_the_charts(reader: Reader):
    with_dashboards()
    page = reader.open(reverse("dashboard", args=["mrr"]))
    drawn(page, CHARTS["mrr"])
    colour = "getComputedStyle(document.querySelector('[data-chart=waterfall] .bars .point path')).fill"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    assert light == "rgb(0, 114, 178)"
    assert page.evaluate(colour) != light


@pytest.mark.parametrize("width", [360], ids=["phone"])
def test_held_numbers_are_marked_first_of_all(reader: Reader, width):
    portal = held()
    page = reader.open(reverse("dashboard", args=["executive"]))
    notice = page.get_by_text("Held since").first
    expect(notice).to_be_visible()
    assert notice.bounding_box()["y"] < page.locator(".tiles").bounding_box()["y"]
    page.get_by_role("link", name="What holds it").click()
    expect(page).to_have_url(re.compile(f"{portal.build.get_absolute_url()}$"))
    assert reader.complaints == []


def test_a_chart_that_cannot_be_drawn_is_said_at_once(reader: Reader):
    with_dashboards()
    reader.context.route("**/dash_renderer*", lambda route: route.abort())
    page = reader.open(reverse("dashboard", args=["mrr"]))
    expect(page.get_by_text("The chart cannot be drawn here; the table below says the same.").first).to_be_visible()
    assert overflow(page) == 0


def test_numbers_and_definitions_are_reached_by_keyboard(reader: Reader):
    with_dashboards()
    documented()
    page = reader.open(reverse("dashboard", args=["executive"]))
    page.locator(".tile--lead summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("What mrr of mrr_monthly means.").first).to_be_visible()
    page.locator("#mrr summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="MRR against plan, as a table")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Chart. MRR is")).first).to_be_visible()
