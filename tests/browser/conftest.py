"""A real Chromium in front of a live server. What a page says to the console or asks of others fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from tests.chromium import started
from tests.factories import StaffFactory


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    cache.clear()


@pytest.fixture(scope="package")
def chromium(django_db_setup: None) -> Iterator[Browser]:
    with started() as browser:
        yield browser


@dataclass
class Reader:
    """Somebody who looks at pages, at one width, and notices what goes wrong behind them."""

    context: BrowserContext
    address: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str, scheme: Literal["light", "dark"] = "light") -> Page:
        page = self.context.new_page()
        page.emulate_media(color_scheme=scheme)
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url} {request.failure}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", lambda answer: self._answered(answer.status, answer.url))
        page.goto(self.address + path, wait_until="networkidle")
        return page

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"console: {text}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.address).netloc and not url.startswith("data:"):
            self.complaints.append(f"asked somebody else: {url}")

    def _answered(self, status: int, url: str) -> None:
        if status >= 400:
            self.complaints.append(f"{status}: {url}")


@pytest.fixture
def reader(chromium: Browser, live_server, width: int, scripts: bool) -> Iterator[Reader]:
    """Logged in as staff; `width` and `scripts` come from the test."""
    client = Client()
    client.force_login(StaffFactory(username="dana"))
    context = chromium.new_context(viewport={"width": width, "height": 844}, java_script_enabled=scripts)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
    yield Reader(context, live_server.url)
    context.close()


@pytest.fixture
def width() -> int:
    return 1280


@pytest.fixture
def scripts() -> bool:
    return True
