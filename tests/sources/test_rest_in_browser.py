"""A REST source in a real browser: added by hand with a preview, on a desk, on a phone, and without scripts."""

from __future__ import annotations

import os
from typing import Any

import pytest

from sources.models import Source
from tests.sources.test_admin_in_browser import answer_probe, chromium, visit  # noqa: F401 (fixtures)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("sent"),
]

ADD = "/admin/sources/source/add/?connector=rest"
TOKEN = "token_0123456789"
DEALS = [
    {
        "id": 1000 + number,
        "title": ["Renewal with Northwind", "Trial of Blue Harbour", "Expansion at Fenwick & Sons"][number % 3],
        "amount": 1200.5 * number,
        "isWon": number % 2 == 0,
        "owner": {"id": number % 3, "name": "Ada"},
        "tags": ["eu", "saas"],
        "updated_at": f"2026-03-{number:02d}T10:00:00Z",
    }
    for number in range(1, 9)
]


@pytest.fixture
def api(httpserver: Any) -> Any:
    httpserver.expect_request("/v1/deals", headers={"Authorization": f"Bearer {TOKEN}"}).respond_with_json(
        {"data": {"items": DEALS}, "paging": {"next": None}}
    )
    return httpserver


def pictured(page: Any, name: str) -> None:
    """A picture for whoever wants to look, when SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def fill_in(page: Any, api: Any, *, records: str) -> None:
    page.goto(ADD)
    page.get_by_label("Base URL").fill(api.url_for("/v1"))
    page.locator("#id_setting_token").fill(TOKEN)
    card = page.locator("[data-endpoint]").first
    card.get_by_label("Name").fill("deals")
    card.get_by_label("Path").fill("/deals")
    card.get_by_label("Where the rows are").fill(records)


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("desk", {"viewport": {"width": 1280, "height": 900}}),
        ("phone", {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
    ],
)
def test_a_colleague_adds_an_api_with_the_previews_help(visit, api, name, context):  # noqa: F811
    page = visit(**context)
    fill_in(page, api, records="results")
    pictured(page, f"{name}-form")
    page.get_by_role("button", name="Test and preview").click()
    page.wait_for_selector("[data-probe=waiting]")
    answer_probe()
    page.wait_for_selector("[data-probe=failed]")
    pictured(page, f"{name}-wrong")
    page.get_by_role("button", name="Use it as where the rows are").click()
    assert page.locator("[data-endpoint]").first.get_by_label("Where the rows are").input_value() == "data.items"

    page.get_by_role("button", name="Test and preview").click()
    page.wait_for_selector("[data-probe=waiting]")
    answer_probe()
    page.wait_for_selector("[data-probe=succeeded]")
    page.get_by_role("button", name="Use it as what a row is known by").first.click()
    page.get_by_role("button", name="Use it as the time of change").first.click()
    page.get_by_label("Parameter that asks for newer rows").first.fill("since")

    page.get_by_role("button", name="Test and preview").click()
    page.wait_for_selector("[data-probe=waiting]")
    answer_probe()
    page.wait_for_selector("[data-probe=succeeded]")
    page.wait_for_selector("text=2026-03-01 10:00:00")
    assert page.evaluate("document.documentElement.scrollWidth") <= context["viewport"]["width"]
    pictured(page, f"{name}-preview")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/sources/source/")
    stream = Source.objects.get().streams.get()
    assert (stream.name, stream.is_enabled, stream.sync_mode, stream.primary_key) == (
        "deals",
        True,
        "incremental",
        ["id"],
    )


def test_only_the_fields_of_a_choice_are_shown(visit):  # noqa: F811
    page = visit()
    page.goto(ADD)
    for choice, shown in {
        "bearer": ["token"],
        "header": ["key_name", "api_key"],
        "basic": ["username"],
    }.items():
        page.locator("#id_setting_auth").select_option(choice)
        for name in ("token", "key_name", "api_key", "username", "client_id"):
            assert page.locator(f"#id_setting_{name}").is_visible() == (name in shown), (choice, name)
    card = page.locator("[data-endpoint]").first
    card.get_by_text("Pages", exact=True).click()
    card.get_by_label("More than one page").select_option("page")
    assert card.get_by_label("Number of the first page").is_visible()
    assert not card.get_by_label("Where it is in the answer").is_visible()
    pictured(page, "paging")


def test_endpoints_are_added_and_removed(visit, api):  # noqa: F811
    page = visit()
    fill_in(page, api, records="data.items")
    for name in ("people", "notes"):
        page.get_by_role("button", name="Add another endpoint").click()
        card = page.locator("[data-endpoint]").last
        card.get_by_label("Name").fill(name)
        card.get_by_label("Path").fill(f"/{name}")
        assert card.locator("legend").inner_text() == name
        assert not card.get_by_label("Parameter that turns the page").is_visible()
    page.locator("[data-endpoint]").nth(1).get_by_label("Remove this endpoint").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/sources/source/")
    source = Source.objects.get()
    assert [endpoint["name"] for endpoint in source.config["endpoints"]] == ["deals", "notes"]


def test_without_scripts_a_preview_comes_before_saving(visit, api):  # noqa: F811
    page = visit(java_script_enabled=False)
    fill_in(page, api, records="data.items")
    page.click("button[name=_page]")
    page.wait_for_selector("[data-probe=waiting]")
    answer_probe()
    page.get_by_role("link", name="Look again").click()
    page.wait_for_selector("[data-probe=succeeded]")
    assert page.get_by_text("Renewal with Northwind").first.is_visible()
    pictured(page, "without-scripts")
    assert not Source.objects.exists()
