"""A small frozen company, opened on a Monday morning."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox.company import Company
from sandbox.server import Sandbox

MONDAY = int(dt.datetime(2026, 3, 16, 9, 30, tzinfo=dt.UTC).timestamp())


class Client:
    """One vendor's API with a key."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url, self.key = base_url, key
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str, **arguments: Any) -> requests.Response:
        return self.session.get(self.base_url + path, timeout=20, **arguments)

    def json(self, path: str, **params: Any) -> Any:
        answer = self.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every object of a Stripe list."""
        found: list[dict[str, Any]] = []
        params = {"limit": 100, **params}
        while True:
            page = self.json(path, **params)
            found += page["data"]
            if not page["has_more"]:
                return found
            params["starting_after"] = found[-1]["id"]


@pytest.fixture(scope="session")
def company() -> Company:
    """Two years of a company as large as the demo's; nobody may change it or move it on."""
    company = Company(seed=11, opened_at=MONDAY, scale=1)
    company.run(MONDAY)
    return company


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    directory = tmp_path_factory.mktemp("sandbox")
    with Sandbox.start(directory, seed=5, scale=0.25, postgres=False, now=MONDAY) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The shared company; nobody may move its clock. Faults and counters are reset."""
    for door in running.doors:
        door.faults.clear()
        door.forget_requests()
    yield running
    for door in running.doors:
        door.faults.clear()


@pytest.fixture
def stripe(sandbox: Sandbox) -> Client:
    return Client(sandbox.stripe.base_url, sandbox.stripe.api_key)


@pytest.fixture
def github(sandbox: Sandbox) -> Client:
    return Client(sandbox.github.base_url, sandbox.github.token)


@pytest.fixture
def fresh(tmp_path) -> Iterator[Callable[..., Sandbox]]:
    """Starts sandboxes of a test's own and stops them."""
    started: list[Sandbox] = []

    def start(name: str = "world", **options: Any) -> Sandbox:
        sandbox = Sandbox.start(tmp_path / name, **{"scale": 0.1, "postgres": False, **options})
        started.append(sandbox)
        return sandbox

    yield start
    for sandbox in started:
        sandbox.stop()
