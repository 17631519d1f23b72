"""The list of internal hosts: who may change it, what it takes, and that it is kept."""

from __future__ import annotations

import pytest
from django.test import Client

from sources.hosts import AllowedHost, allowed_hosts
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/sources/allowedhost/"


def test_a_superuser_allows_a_host_and_that_is_kept(staff):
    response = staff.post(f"{LIST}add/", {"host": " CRM.Internal. ", "port": "8443", "reason": "The old CRM."})
    assert response.status_code == 302, response.context["adminform"].form.errors
    row = AllowedHost.objects.get()
    assert (row.host, row.port, row.added_by) == ("crm.internal", 8443, staff.user)
    assert "crm.internal:8443" in allowed_hosts()
    staff.post(f"{LIST}{row.pk}/delete/", {"post": "yes"})
    assert "crm.internal:8443" not in allowed_hosts()
    assert [entry.history_type for entry in AllowedHost.history.all()] == ["-", "+"]
    assert {entry.history_user for entry in AllowedHost.history.all()} == {staff.user}


@pytest.mark.parametrize("page", ["", "add/"])
def test_every_permission_is_not_enough_without_being_a_superuser(page):
    names = [f"sources.{verb}_allowedhost" for verb in ("add", "change", "view", "delete")]
    client = Client()
    client.force_login(UserFactory(is_staff=True, permissions=names))
    assert client.get(LIST + page).status_code == 403


@pytest.mark.parametrize(
    "host", ["https://crm.internal", "crm.internal/x", "crm.internal:8443", "*.internal", "0x7f.1", ""]
)
def test_what_is_no_host_is_refused_at_its_field(staff, host):
    page = staff.post(f"{LIST}add/", {"host": host, "reason": "x"})
    assert "host" in page.context["adminform"].form.errors
    assert not AllowedHost.objects.exists()


@pytest.mark.parametrize("port", ["", "443"])
def test_a_host_is_listed_once(staff, port):
    for _ in range(2):
        page = staff.post(f"{LIST}add/", {"host": "crm.internal", "port": port, "reason": "x"})
    assert "This host is on the list already." in page.content.decode()
    assert AllowedHost.objects.count() == 1


def test_the_list_opens_and_an_address_with_colons_keeps_its_port(staff):
    AllowedHost.objects.create(host="fd00::5", port=443, reason="x", added_by=staff.user)
    assert "fd00::5" in staff.get(LIST).content.decode()
    assert "[fd00::5]:443" in allowed_hosts()


def test_the_demo_allows_itself_and_production_nobody(settings):
    settings.ALLOWED_INTERNAL_HOSTS = []
    assert allowed_hosts() == []
