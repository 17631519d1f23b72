"""Every page, in every state of the portal, for everybody."""

from __future__ import annotations

import pytest
from django.urls import reverse

from metrics.dashboards.registry import DASHBOARDS
from tests import scenarios

READABLE = ["status", "status_live", "incidents", "dashboards", "datasets"]
STAFF_ONLY = ["notifications"]


def addresses(portal: scenarios.Portal) -> dict[str, str]:
    """Every address that can be opened in this portal, by the name of its route."""
    found = {name: reverse(name) for name in [*READABLE, *STAFF_ONLY, "password"]}
    found.update({key: reverse("dashboard", args=[key]) for key in DASHBOARDS})
    if portal.sources:
        for name in ("source", "source_live", "source_streams"):
            found[name] = reverse(name, args=["stripe"])
        found["dataset"] = reverse("dataset", args=["mart_finance.mrr_monthly"])
        found["shown"] = reverse("shown", args=["mrr_dashboard"])
    for name, row in (("run", portal.run), ("build", portal.build)):
        if row is not None:
            found[name] = reverse(name, args=[row.pk])
            found[f"{name}_live"] = reverse(f"{name}_live", args=[row.pk])
    if portal.incident is not None:
        found["incident"] = reverse("incident", args=[portal.incident.pk])
    if portal.mail is not None:
        found["notification"] = reverse("notification", args=[portal.mail.pk])
    return found


@pytest.mark.parametrize("scenario", [scenarios.empty, scenarios.healthy, scenarios.troubled])
def test_every_page_opens_for_staff(staff, scenario):
    for name, address in addresses(scenario()).items():
        answer = staff.get(address)
        assert answer.status_code in (200, 286), name


@pytest.mark.django_db
def test_nobody_sees_anything_without_logging_in(client):
    for name, address in addresses(scenarios.troubled()).items():
        answer = client.get(address)
        assert answer.status_code == 302, name
        assert answer.headers["Location"].startswith(reverse("login")), name


def test_a_colleague_sees_every_page_but_the_mails(reader):
    for name, address in addresses(scenarios.troubled()).items():
        expected = {403} if name in ("notifications", "notification") else {200, 286}
        assert reader.get(address).status_code in expected, name


@pytest.mark.parametrize("route", ["source", "run", "build", "incident", "notification"])
def test_what_does_not_exist_is_not_found(staff, route):
    key = "nothing" if route == "source" else 4711
    answer = staff.get(reverse(route, args=[key]))
    assert answer.status_code == 404
    assert "This page does not exist" in answer.content.decode()


def test_an_address_nobody_made_is_not_found(client, db):
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "This page does not exist" in answer.content.decode()


def test_a_broken_page_apologises_without_asking_the_database(staff, monkeypatch):
    from portal.views import status

    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(status, "look", broken)
    staff.raise_request_exception = False
    answer = staff.get("/")
    assert answer.status_code == 500
    assert "Something broke while this page was made" in answer.content.decode()
    assert "boom" not in answer.content.decode()


def test_no_page_loads_anything_from_elsewhere(staff):
    for address in addresses(scenarios.troubled()).values():
        html = staff.get(address).content.decode()
        for attribute in ('src="http', 'href="http', "src='http", "url(http", "@import"):
            assert attribute not in html, (address, attribute)
