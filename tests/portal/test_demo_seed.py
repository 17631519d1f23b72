"""The demo's sources are made from what the sandbox says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from portal.management.commands import demo_seed
from sandbox.server import Sandbox
from sources.models import Source


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox.start(tmp_path / "world", scale=0.1, postgres=False, now=1_772_409_600) as running:
        yield running


@pytest.mark.django_db
def test_the_finance_sheet_is_one_of_them_and_is_told_where_the_sandbox_is_today(
    sandbox, settings, tmp_path, monkeypatch
):
    settings.DEMO = True
    monkeypatch.setattr(demo_seed, "SOURCES", {"google_sheets": demo_seed.SOURCES["google_sheets"]})
    told = tmp_path / "endpoints.json"
    told.write_text(json.dumps(sandbox.endpoints()))
    call_command("demo_seed", "--endpoints", str(told))
    source = Source.objects.get()
    assert (source.name, source.connector, source.schedule) == (
        "Finance sheet (Google Sheets)",
        "google_sheets",
        "20 * * * *",
    )
    assert "service_account_key" in source.secrets
    assert "service_account_key" not in source.config
    assert set(source.streams.enabled().values_list("name", "sync_mode", "freshness_minutes")) == {
        ("plan", "full_refresh", 1440),
        ("people", "full_refresh", 1440),
        ("budget_rates", "full_refresh", 1440),
    }
    told.write_text(
        json.dumps({"google_sheets": {**sandbox.endpoints()["google_sheets"], "base_url": "http://127.0.0.1:1"}})
    )
    call_command("demo_seed", "--endpoints", str(told))
    assert Source.objects.get().config["base_url"] == "http://127.0.0.1:1"
