"""*Test connection*, from the button to the answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from portal.failures import TerminalError
from portal.runs import RunStatus
from sources import offers, probes
from sources.models import Probe, Source
from tests.factories import SourceFactory, UserFactory
from tests.sources.pages import form_of, posted
from tests.sources.systems import ORDERS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("systems")]

ADD = "/admin/sources/source/add/?connector=depot"
ASK = reverse("admin:sources_source_probe") + "?connector=depot"
SECRET = "pass_0123456789abcdef"


def answer(probe: Probe) -> str:
    return reverse("admin:sources_source_probe_answer", args=[probe.pk])


def work(probe: Probe) -> None:
    assert Probe.objects.claim(probe.pk) == 1
    probes.perform(Probe.objects.get(pk=probe.pk))


def asked(staff, **changes) -> Probe:
    data = posted(staff.get(ADD), setting_host="db.example.com", setting_password=SECRET, **changes)
    page = staff.post(ASK, data)
    assert "Waiting for a worker" in page.content.decode()
    return Probe.objects.latest("pk")


def test_the_button_queues_a_probe_before_anything_is_saved(staff, sent):
    probe = asked(staff, name="", slug="")  # what does not matter for a test may be empty
    assert sent == [("run_probe", probe.pk)]
    assert probe.config == {"host": "db.example.com"}
    assert dict(probe.secrets) == {"password": SECRET}
    assert probe.asked_by == staff.user
    assert not Source.objects.exists()


def test_what_is_missing_for_a_test_is_named_and_nobody_is_asked(staff, sent):
    page = staff.post(ASK, posted(staff.get(ADD), setting_host=""))
    html = page.content.decode()
    assert "Host: This field is required." in html
    assert "Password: This field is required." in html
    assert sent == []


def test_the_page_asks_each_second_and_is_told_only_what_is_new(staff, sent):
    probe = asked(staff)
    assert staff.get(answer(probe) + "?seen=queued").status_code == 204
    Probe.objects.claim(probe.pk)
    page = staff.get(answer(probe) + "?seen=queued")
    assert "Connecting…" in page.content.decode()
    assert 'hx-trigger="every 1s"' in page.content.decode()


def test_after_twenty_seconds_of_silence_the_page_says_that_no_worker_answered(staff, sent):
    probe = asked(staff)
    Probe.objects.filter(pk=probe.pk).update(queued_at=timezone.now() - timedelta(seconds=21))
    html = staff.get(answer(probe) + "?seen=queued").content.decode()
    assert "No worker has answered for 20 seconds" in html
    assert "hx-get" in html  # it may still come
    assert staff.get(answer(probe) + "?seen=unanswered").status_code == 204


def test_a_good_answer_is_a_sentence_with_the_streams_and_ends_the_asking(staff, sent, engine):
    probe = asked(staff)
    work(probe)
    html = staff.get(answer(probe) + "?seen=running").content.decode()
    for text in ("It works.", "Connected to the shop", "It offers 2 streams", "Orders, Labels", "check_circle"):
        assert text in html
    assert 'data-probe="succeeded"' in html
    assert "every 1s" not in html
    assert SECRET not in html


def test_a_refusal_shows_its_sentence_and_not_the_detail(staff, sent, engine):
    engine.error = TerminalError("The password was refused.", "FATAL: 28P01 for portal_reader")
    probe = asked(staff)
    work(probe)
    html = staff.get(answer(probe)).content.decode()
    assert "It does not work." in html
    assert "The password was refused." in html
    assert "28P01" not in html
    assert SECRET not in html


def test_what_was_found_becomes_rows_to_tick_and_is_saved_with_the_source(staff, sent, engine):
    probe = asked(staff)
    work(probe)
    page = staff.get(answer(probe))
    rows = form_of(page, "streams")
    assert 'hx-swap-oob="true"' in page.content.decode()
    assert rows.data["streams_probe"] == str(probe.pk)
    assert "streams-0-is_enabled" not in rows.data  # nobody chose it yet
    data = posted(staff.get(ADD), setting_host="db.example.com", setting_password=SECRET) | rows.data
    data["streams-0-is_enabled"] = "on"
    response = staff.post(ADD, data)
    assert response.status_code == 302, response.context["errors"]
    source = Source.objects.get()
    assert set(source.streams.values_list("name", "is_enabled")) == {("orders", True), ("labels", False)}


def test_rows_survive_a_form_error(staff, sent, engine):
    probe = asked(staff)
    work(probe)
    rows = form_of(staff.get(answer(probe)), "streams").data
    data = posted(staff.get(ADD), setting_host="", setting_password=SECRET) | rows
    page = staff.post(ADD, data)
    assert page.status_code == 200
    again = form_of(page).data
    assert again["streams_probe"] == str(probe.pk)
    assert again["streams-0-name"] == "orders"


def test_somebody_elses_probe_is_neither_shown_nor_usable(staff, client, sent, engine):
    probe = asked(staff)
    work(probe)
    client.force_login(UserFactory(is_staff=True, permissions=["sources.add_source", "sources.view_source"]))
    assert client.get(answer(probe)).status_code == 404
    rows = form_of(staff.get(answer(probe)), "streams").data
    data = posted(client.get(ADD), setting_host="h", setting_password=SECRET) | rows
    page = client.post(ADD, data)
    assert "is not among the streams that were offered" in page.content.decode()
    assert not Source.objects.exists()


def test_an_empty_secret_is_the_stored_one(staff, sent):
    source = SourceFactory(connector="depot", config={"host": "db"}, secrets={"password": SECRET})
    page = staff.get(reverse("admin:sources_source_change", args=[source.pk]))
    staff.post(reverse("admin:sources_source_probe_saved", args=[source.pk]), posted(page))
    probe = Probe.objects.get()
    assert probe.source == source
    assert dict(probe.secrets) == {"password": SECRET}
    source.refresh_from_db()
    assert source.name == page.context["original"].name


def test_testing_a_saved_source_finds_new_streams_and_ticks_none(staff, sent, engine):
    source = SourceFactory(connector="depot", config={"host": "db"}, secrets={"password": SECRET})
    offers.apply(source, [ORDERS])
    page = staff.get(reverse("admin:sources_source_change", args=[source.pk]))
    staff.post(reverse("admin:sources_source_probe_saved", args=[source.pk]), posted(page))
    probe = Probe.objects.get()
    work(probe)
    assert "New: labels. Nothing of it is read until you tick it." in staff.get(answer(probe)).content.decode()
    assert source.streams.get(name="labels").is_enabled is False


def test_save_and_test_is_the_way_without_javascript(staff, sent, engine):
    data = posted(staff.get(ADD), setting_host="db", setting_password=SECRET, _test="1")
    response = staff.post(ADD, data)
    source = Source.objects.get()
    probe = Probe.objects.get()
    assert response.url.endswith(f"/{source.pk}/change/?probe={probe.pk}#connection")
    assert ("run_probe", probe.pk) in sent
    assert "Waiting for a worker" in staff.get(response.url).content.decode()
    work(probe)
    html = staff.get(response.url).content.decode()
    assert "It works." in html
    assert "New: orders, labels." in html


def test_the_answer_of_another_sources_probe_is_not_shown_on_this_page(staff, sent):
    one, other = SourceFactory(connector="depot"), SourceFactory(connector="depot")
    probe = probes.ask_saved(other, staff.user)
    page = staff.get(reverse("admin:sources_source_change", args=[one.pk]) + f"?probe={probe.pk}")
    assert "Waiting for a worker" not in page.content.decode()


def test_a_probe_that_is_gone_is_not_found(staff):
    assert staff.get(reverse("admin:sources_source_probe_answer", args=[999])).status_code == 404
    assert staff.get(ASK).status_code == 405
    assert staff.post(reverse("admin:sources_source_probe") + "?connector=nonsense").status_code == 404


def test_a_lost_probe_says_so(staff, sent):
    probe = asked(staff)
    Probe.objects.filter(pk=probe.pk).update(status=RunStatus.CANCELLED)
    assert "given up before there was an answer" in staff.get(answer(probe)).content.decode()
