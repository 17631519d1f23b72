"""Incidents: the list, one of them, and who says that they look at it; the mails about them."""

from __future__ import annotations

from django.urls import reverse

from quality.models import Incident
from tests import factories as make
from tests import scenarios
from tests.portal.views.test_status import text_of


def titles(client, query: str = "") -> list[str]:
    return [incident.title for incident in client.get(reverse("incidents") + query).context["page"]]


def three() -> None:
    make.IncidentFactory(title="resolved", resolved=True)
    make.IncidentFactory(title="seen", acknowledged=True)
    make.IncidentFactory(title="new")


def test_open_ones_come_first(reader):
    three()
    assert set(titles(reader)[:2]) == {"seen", "new"}
    assert titles(reader)[2] == "resolved"


def test_the_list_can_be_filtered(reader):
    three()
    assert titles(reader, "?state=open") == ["new"]
    assert titles(reader, "?state=acknowledged") == ["seen"]
    assert titles(reader, "?state=resolved") == ["resolved"]


def test_the_list_has_pages_and_asks_few_queries(reader, django_assert_max_num_queries):
    make.IncidentFactory.create_batch(30)
    with django_assert_max_num_queries(6):
        assert len(titles(reader)) == 25
    assert len(titles(reader, "?page=2")) == 5


def test_the_nav_counts_open_ones_everywhere(reader):
    three()
    assert "Incidents 2 open" in text_of(reader.get(reverse("incidents")))
    assert "Incidents 2 open" in text_of(reader.get("/"))


def test_an_incident_says_what_since_when_how_often_and_what_is_affected(reader):
    portal = scenarios.troubled()
    page = text_of(reader.get(portal.incident.get_absolute_url()))
    assert "Stripe refused the key" in page
    assert "seen 4 times" in page
    assert "no new rows since its last good sync" in page
    assert "HTTP 403 from" in page
    assert "Not delivered" in page
    assert "The same trouble before" in page
    assert "could not be sent after 1 try." in page


def test_an_incident_without_a_reader_says_that_nobody_was_told(reader):
    incident = make.IncidentFactory(owner_email="")
    page = text_of(reader.get(incident.get_absolute_url()))
    assert "Nobody: it has no owner with an address." in page


def test_staff_say_that_they_look_at_it(staff):
    incident = make.IncidentFactory()
    address = reverse("acknowledge", args=[incident.pk])
    assert "others see that you are looking at it" in text_of(staff.post(address, follow=True))
    incident.refresh_from_db()
    assert incident.state == "acknowledged"
    assert incident.acknowledged_by.username == "dana"
    assert "Acknowledged by dana." in text_of(staff.get(incident.get_absolute_url()))


def test_the_first_name_stays_when_somebody_presses_later(staff):
    first = make.StaffFactory()
    incident = make.IncidentFactory(acknowledged=True, acknowledged_by=first)
    assert "somebody was faster" in text_of(staff.post(reverse("acknowledge", args=[incident.pk]), follow=True))
    assert Incident.objects.get(pk=incident.pk).acknowledged_by == first


def test_a_resolved_incident_cannot_be_acknowledged(staff):
    incident = make.IncidentFactory(resolved=True)
    page = text_of(staff.post(reverse("acknowledge", args=[incident.pk]), follow=True))
    assert "Nothing to acknowledge" in page
    assert "I am looking at it" not in page


def test_others_cannot_acknowledge(reader):
    incident = make.IncidentFactory()
    assert "I am looking at it" not in text_of(reader.get(incident.get_absolute_url()))
    assert reader.post(reverse("acknowledge", args=[incident.pk])).status_code == 403
    incident.refresh_from_db()
    assert incident.state == "open"


def test_mails_show_which_were_not_delivered_and_why(staff):
    make.NotificationFactory(subject="arrived")
    make.NotificationFactory(subject="stuck", undelivered=True)
    page = text_of(staff.get(reverse("notifications")))
    assert "arrived" in page
    assert "Connection refused" in page
    only = text_of(staff.get(reverse("notifications") + "?state=undelivered"))
    assert "stuck" in only
    assert "arrived" not in only


def test_a_mail_shows_its_text_and_never_its_markup(staff):
    mail = make.NotificationFactory(text="It broke.\n<script>alert(1)</script>", html="<p>secret layout</p>")
    html = staff.get(reverse("notification", args=[mail.pk])).content.decode()
    assert "It broke." in html
    assert "<script>alert" not in html
    assert "secret layout" not in html
