"""Three readers: a colleague who may look, a member of staff who may press, and nobody."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from tests.factories import StaffFactory, UserFactory


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()


def _logged_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def reader(db) -> Client:
    return _logged_in(UserFactory(username="reader"))


@pytest.fixture
def staff(db) -> Client:
    return _logged_in(StaffFactory(username="dana"))
