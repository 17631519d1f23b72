"""A portal in which only invented systems exist, and people who may or may not change sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from sources.connectors import CONNECTORS
from tests.factories import StaffFactory, UserFactory
from tests.sources.engines.own_code.slack import Slack, slack_under_its_own_name
from tests.sources.systems import FakeEngine

COMPANY_FILE = Path(__file__).parents[1] / "fixtures" / "brief" / "slack_activity.py"


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only "shop" and "depot" exist."""
    for name in list(CONNECTORS):
        monkeypatch.delitem(CONNECTORS, name)
    monkeypatch.setitem(CONNECTORS, "shop", "tests.sources.systems.ShopConnector")
    monkeypatch.setitem(CONNECTORS, "depot", "tests.sources.systems.DepotConnector")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("sources.probes.get_engine", lambda name: fake)
    return fake


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The messages that would have gone to workers."""
    messages: list[tuple[str, int]] = []
    monkeypatch.setattr("portal.dispatch.send", lambda task, *args, countdown=None: messages.append((task, *args)))
    return messages


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.user = StaffFactory()  # type: ignore[attr-defined]
    client.force_login(client.user)  # type: ignore[attr-defined]
    return client


@pytest.fixture
def colleague(db: None) -> Client:
    """Logged in and staff, but without any permission."""
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    return client


@pytest.fixture
def pipelines(tmp_path: Path, settings: Any) -> Path:
    """The folder that a company drops its own code into; empty."""
    settings.PIPELINES_DIR = tmp_path / "pipelines"
    settings.PIPELINES_DIR.mkdir()
    return settings.PIPELINES_DIR


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    """Slack on this machine, for code that asks the real one; the workers' environment leads there."""
    with slack_under_its_own_name(tmp_path) as stand_in:
        for name, value in stand_in.environment().items():
            monkeypatch.setenv(name, value)
        yield stand_in
