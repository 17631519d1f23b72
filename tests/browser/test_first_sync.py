"""From nothing to rows by clicks alone: a colleague adds Stripe, tests the key, saves, and syncs for the first time.

The company behind the key is simulated, everything else is real: browser, forms, worker, connector, dlt, DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.conf import settings
from django.db import connections
from playwright.sync_api import expect

from portal import tasks
from sandbox.server import Sandbox
from sources.models import Source
from tests.browser.conftest import Reader

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MONDAY = 1_772_409_600  # 2 March 2026
CARRIED_OUT = {"run_probe", "run_sync"}


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox.start(tmp_path / "world", seed=7, scale=0.1, postgres=False, now=MONDAY) as sandbox:
        yield sandbox


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Carries out what pages ask for, in a thread beside them, as a worker process does."""
    pool = ThreadPoolExecutor(1)

    def carry_out(task: str, arguments: tuple[int, ...]) -> None:
        try:
            getattr(tasks, task)(*arguments)
        finally:
            connections.close_all()

    def send(task: str, arguments: tuple[int, ...], countdown: float | None) -> None:
        if task in CARRIED_OUT:
            pool.submit(carry_out, task, arguments)

    monkeypatch.setattr("portal.dispatch._send", send)
    yield
    pool.shutdown(wait=True)


def rows_of(table: str) -> int:
    path = settings.WAREHOUSE_URL.removeprefix("duckdb:///")
    with duckdb.connect(path, read_only=True) as connection:
        found: Any = connection.execute(f"select count(*) from raw_stripe.{table}").fetchone()
        return found[0]


def test_a_source_is_added_tested_and_synced_by_clicks_alone(reader: Reader, company: Sandbox, worker):
    page = reader.open("/admin/sources/source/add/")
    page.get_by_role("link", name="Stripe").click()
    page.locator("#id_name").fill("Stripe (billing)")
    page.get_by_label("Secret key").fill(company.stripe.api_key)
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("API base URL").fill(company.stripe.base_url)
    page.get_by_role("button", name="Test connection").click()
    page.wait_for_selector("[data-probe=succeeded]", timeout=30_000)
    expect(page.get_by_text("The key may read everything that is needed.").first).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/sources/source/")

    source = Source.objects.get()
    page = reader.open(source.get_absolute_url())
    page.get_by_role("button", name="Sync now").first.click()
    expect(page.get_by_text("Sync succeeded").or_(page.get_by_text("Succeeded")).first).to_be_visible(timeout=60_000)

    assert rows_of("customers") == len(company.company.ledger.customers)
    assert rows_of("invoices") > rows_of("subscriptions") > 0
    assert reader.complaints == []
