"""One trouble, one incident, one mail; the all-clear once."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from portal.redact import secrets_hidden
from quality import incidents, notifications
from quality.freshness import watch_promises
from quality.models import Check, Incident, Notification
from sources.models import Source
from tests.factories import SourceFactory, StaffFactory, StreamFactory, UserFactory

pytestmark = pytest.mark.django_db


def report(**values) -> Incident:
    return incidents.report(
        **{
            "kind": Incident.Kind.SYNC,
            "fingerprint": "sync:stripe",
            "title": "Stripe could not be synced",
            "sentence": "The key was refused.",
            "owner_email": "owner@example.com",
            **values,
        }
    )


def test_the_same_trouble_is_counted_and_mailed_once():
    first = report()
    again = report(sentence="The key was refused again.")
    assert again.pk == first.pk
    assert (again.occurrences, again.sentence) == (2, "The key was refused again.")
    assert again.opened_at == first.opened_at
    assert Notification.objects.count() == 1


def test_trouble_that_comes_back_after_it_was_over_is_a_new_incident():
    report()
    assert incidents.resolve("sync:stripe", "It was synced again.") is True
    report()
    assert Incident.objects.count() == 2
    assert Incident.objects.open().count() == 1


def test_resolving_sends_the_all_clear_once():
    report()
    assert incidents.resolve("sync:stripe", "It was synced again.") is True
    assert incidents.resolve("sync:stripe", "It was synced again.") is False
    assert incidents.resolve("never:seen", "") is False
    assert sorted(Notification.objects.values_list("kind", flat=True)) == ["incident_opened", "incident_resolved"]


def test_the_all_clear_goes_to_those_who_were_told():
    report(owner_email="then@example.com")
    Incident.objects.update(owner_email="now@example.com")
    incidents.resolve("sync:stripe", "Over.")
    assert set(Notification.objects.values_list("recipient", flat=True)) == {"then@example.com"}


def test_no_secret_reaches_an_incident_or_its_mail():
    with secrets_hidden(["hunter2-hunter2"]):
        incident = report(
            title="Key sk_live_abcdefgh12345678 refused",
            sentence="hunter2-hunter2 was refused.",
            detail="Bearer abcdefghijk1",
            affected=["postgres://me:geheim@db/x"],
        )
    notification = Notification.objects.get()
    everything = " ".join(
        [incident.title, incident.sentence, incident.detail, *incident.affected, notification.subject]
        + [notification.text, notification.html]
    )
    for secret in ("hunter2", "sk_live_abc", "abcdefghijk1", "geheim"):
        assert secret not in everything


def test_a_check_that_is_switched_off_or_deleted_closes_its_incident_and_says_so():
    off = Check.objects.create(dataset="a.b", name="off", definition="row_count > 0")
    gone = Check.objects.create(dataset="a.b", name="gone", definition="row_count > 1")
    on = Check.objects.create(dataset="a.b", name="on", definition="row_count > 2")
    for check in (off, gone, on):
        report(kind=Incident.Kind.CHECK, fingerprint=f"check:{check.pk}", title=check.name, check_row=check)
    Check.objects.filter(pk=off.pk).update(is_enabled=False)
    gone.delete()

    assert incidents.resolve_retired() == 2
    assert {incident.title: incident.resolution for incident in Incident.objects.all()} == {
        "off": "The check was switched off. Nobody confirmed that the data is right.",
        "gone": "The check was deleted. Nobody confirmed that the data is right.",
        "on": "",
    }
    assert incidents.resolve_retired() == 0


def test_acknowledging_notes_who_and_counts_only_the_new():
    user = UserFactory()
    first, second = report(), report(fingerprint="sync:github")
    assert incidents.acknowledge([first.pk, second.pk], user.pk) == 2
    assert incidents.acknowledge([first.pk, second.pk], user.pk) == 0
    first.refresh_from_db()
    assert (first.state, first.acknowledged_by) == ("acknowledged", user)


def test_counting_an_open_incident_costs_few_queries(django_assert_max_num_queries):
    report()
    with django_assert_max_num_queries(4):
        report()


@pytest.mark.parametrize(
    ("values", "recipients"),
    [
        ({"owner_email": "named@example.com"}, ["named@example.com"]),
        ({"owner_email": ""}, ["source@example.com"]),
    ],
)
def test_the_owner_is_told(values, recipients):
    source = SourceFactory(owner=UserFactory(email="source@example.com"))
    report(source=source, **values)
    assert list(Notification.objects.values_list("recipient", flat=True)) == recipients


def test_the_owner_of_the_check_is_told_when_there_is_no_source():
    check = Check.objects.create(
        dataset="a.b", name="x", definition="row_count > 0", owner=UserFactory(email="check@example.com")
    )
    report(owner_email="", check_row=check)
    assert Notification.objects.get().recipient == "check@example.com"


def test_without_an_owner_the_fallback_is_told_and_without_it_every_administrator(settings):
    settings.FALLBACK_OWNER_EMAIL = "fallback@example.com"
    report(owner_email="")
    assert Notification.objects.get().recipient == "fallback@example.com"

    settings.FALLBACK_OWNER_EMAIL = ""
    StaffFactory(email="one@example.com")
    StaffFactory(email="two@example.com")
    StaffFactory(email="left@example.com", is_active=False)
    UserFactory(email="nobody@example.com")
    report(owner_email="", fingerprint="sync:github")
    told = Notification.objects.filter(incident__fingerprint="sync:github").values_list("recipient", flat=True)
    assert sorted(told) == ["one@example.com", "two@example.com"]


def test_an_owner_who_left_is_not_the_one_who_is_told(settings):
    settings.FALLBACK_OWNER_EMAIL = "fallback@example.com"
    source = SourceFactory(owner=UserFactory(email="left@example.com", is_active=False))
    report(owner_email="", source=source)
    assert Notification.objects.get().recipient == "fallback@example.com"


def test_nobody_to_tell_is_a_visible_row():
    report(owner_email="")
    notification = Notification.objects.get()
    assert (notification.state, notification.recipient) == ("nobody", "")
    assert notification.error.startswith("Nobody to send this to")
    assert list(Notification.objects.in_trouble()) == [notification]


def test_a_source_whose_secrets_cannot_be_opened_still_raises_its_alarm(settings, client):
    from cryptography.fernet import Fernet

    source = SourceFactory(secrets={"api_key": "sk_test_1234567890"}, owner=UserFactory(email="owner@example.com"))
    StreamFactory(source=source, freshness_minutes=1)
    Source.objects.update(created_at=timezone.now() - timedelta(days=1), schedule_changed_at=None)
    settings.SECRETS_KEYS = [Fernet.generate_key().decode()]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    report(source=Source.objects.defer("secrets").get(), owner_email="")
    report(source=Source.objects.defer("secrets").get(), owner_email="")
    assert watch_promises(timezone.now()) == (1, 0)
    assert incidents.resolve("sync:stripe", "Over.")
    assert notifications.deliver_due(timezone.now()) == (3, 0)
    assert set(Notification.objects.values_list("recipient", flat=True)) == {"owner@example.com"}
    client.force_login(StaffFactory())
    assert client.get(reverse("admin:quality_incident_changelist")).status_code == 200
    assert client.get(reverse("admin:quality_incident_change", args=[Incident.objects.first().pk])).status_code == 200
    assert client.get(reverse("admin:quality_check_add")).status_code == 200


RACE = """
import multiprocessing, django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.db import connections
from quality import incidents, notifications
from quality.freshness import watch_promises
from quality.models import Incident, Notification
connections.close_all()

def report(barrier):
    barrier.wait(20)
    incidents.report(kind="sync", fingerprint="sync:x", title="x", sentence="x", owner_email="a@example.com")

def resolve(barrier):
    barrier.wait(20)
    incidents.resolve("sync:x", "Over.")

def together(work, count=6):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    workers = [context.Process(target=work, args=(barrier,)) for _ in range(count)]
    [worker.start() for worker in workers]
    [worker.join(60) for worker in workers]
    return [worker.exitcode for worker in workers]

print(together(report))
print(list(Incident.objects.values_list("occurrences", flat=True)), Notification.objects.count())
connections.close_all()
print(together(resolve))
print(Incident.objects.open().count(), Notification.objects.filter(kind="incident_resolved").count())
"""


@pytest.mark.slow
def test_processes_that_report_and_resolve_at_once_make_one_incident_and_one_mail_each(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RACE],
        env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/race.sqlite3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["[0, 0, 0, 0, 0, 0]", "[6] 1", "[0, 0, 0, 0, 0, 0]", "0 1"], done.stderr
