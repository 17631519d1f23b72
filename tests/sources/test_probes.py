from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from portal.failures import TerminalError
from portal.runs import RunStatus
from sources import probes
from sources.connectors.addresses import ALLOWED_HOSTS
from sources.models import Probe
from tests.factories import ProbeFactory, SourceFactory, StreamFactory
from tests.sources.systems import ORDERS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("systems")]

SECRET = "key_live_0123456789abcdef"


def _claimed(**values) -> Probe:
    probe = probes.ask(connector="shop", config={"shop": "acme"}, secrets={"api_key": SECRET}, **values)
    assert Probe.objects.claim(probe.pk) == 1
    return Probe.objects.get(pk=probe.pk)


def test_asking_is_a_row_and_a_message(sent):
    probe = probes.ask(connector="shop", config={}, secrets={"api_key": SECRET})
    assert sent == [("run_probe", probe.pk)]
    assert probe.status == RunStatus.QUEUED


def test_the_secret_is_encrypted_in_the_row():
    probe = probes.ask(connector="shop", config={}, secrets={"api_key": SECRET})
    with connection.cursor() as cursor:
        cursor.execute("select secrets from sources_probe where id = %s", [probe.pk])
        (stored,) = cursor.fetchone()
    assert SECRET not in stored
    assert stored.startswith("gAAAA")


def test_a_good_answer_is_a_sentence_and_the_streams(engine):
    probe = _claimed()
    probes.perform(probe)
    probe.refresh_from_db()
    assert probe.status == RunStatus.SUCCEEDED
    assert probe.sentence == "Connected to the shop “acme”."
    assert [spec.name for spec in probes.offered_by(probe)] == ["orders", "labels"]
    assert engine.seen == [{"shop": "acme", "api_key": SECRET, ALLOWED_HOSTS: ["127.0.0.1", "localhost"]}]


def test_the_secret_is_gone_from_the_row_once_there_is_an_answer(engine):
    probe = _claimed()
    probes.perform(probe)
    probe.refresh_from_db()
    assert probe.secrets == {}
    engine.error = TerminalError("The key was refused.")
    probe = _claimed()
    probes.perform(probe)
    probe.refresh_from_db()
    assert probe.secrets == {}


def test_a_refusal_is_a_failed_row_with_its_sentence(engine):
    engine.error = TerminalError("The key may not read orders.", "HTTP 403", kind="forbidden")
    probe = _claimed()
    probes.perform(probe)
    probe.refresh_from_db()
    assert (probe.status, probe.failure_kind) == (RunStatus.FAILED, "forbidden")
    assert probe.failure_sentence == "The key may not read orders."


def test_an_unforeseen_error_hides_secrets_also_those_from_the_environment(engine, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "value-from-the-environment")
    engine.error = RuntimeError(f"cannot log in with {SECRET} / value-from-the-environment")
    probe = probes.ask(connector="shop", config={"shop": "${SHOP_KEY}"}, secrets={"api_key": SECRET})
    Probe.objects.claim(probe.pk)
    probes.perform(Probe.objects.get(pk=probe.pk))
    probe.refresh_from_db()
    assert probe.status == RunStatus.FAILED
    assert "RuntimeError" in probe.failure_sentence
    written = probe.failure_sentence + probe.failure_detail
    assert SECRET not in written
    assert "value-from-the-environment" not in written
    assert "[hidden]" in written


def test_a_missing_variable_is_said_without_asking_anybody(engine, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    probe = probes.ask(connector="shop", config={}, secrets={"api_key": "${NO_SUCH_KEY}"})
    Probe.objects.claim(probe.pk)
    probes.perform(Probe.objects.get(pk=probe.pk))
    probe.refresh_from_db()
    assert "NO_SUCH_KEY" in probe.failure_sentence
    assert engine.seen == []


def test_a_probe_of_the_saved_settings_brings_the_streams_up_to_date(engine):
    source = SourceFactory(connector="shop", config={"shop": "acme"}, secrets={"api_key": SECRET})
    StreamFactory(source=source, name="old")
    probe = probes.ask_saved(source)
    Probe.objects.claim(probe.pk)
    probes.perform(Probe.objects.get(pk=probe.pk))
    probe.refresh_from_db()
    assert "New: orders, labels." in probe.sentence
    assert set(source.streams.values_list("name", "is_enabled", "is_offered")) == {
        ("old", True, False),
        ("orders", False, True),
        ("labels", False, True),
    }


def test_a_probe_of_unsaved_settings_leaves_the_saved_streams_alone(engine):
    source = SourceFactory(connector="shop", config={"shop": "acme"}, secrets={"api_key": SECRET})
    probe = probes.ask(connector="shop", config={"shop": "other"}, secrets={"api_key": SECRET}, source=source)
    Probe.objects.claim(probe.pk)
    probes.perform(Probe.objects.get(pk=probe.pk))
    assert not source.streams.exists()


def test_silence_is_said_after_twenty_seconds():
    now = timezone.now()
    waiting = ProbeFactory(queued=True, queued_at=now - timedelta(seconds=21))
    assert probes.is_unanswered(waiting, now)
    assert not probes.is_unanswered(ProbeFactory(queued=True, queued_at=now - timedelta(seconds=5)), now)
    assert not probes.is_unanswered(ProbeFactory(queued_at=now - timedelta(hours=1)), now)


def test_probes_older_than_a_day_are_purged():
    now = timezone.now()
    ProbeFactory(queued_at=now - timedelta(hours=25))
    kept = ProbeFactory(queued_at=now - timedelta(hours=23), streams=[{"name": ORDERS.name}])
    assert probes.purge(now) == 1
    assert list(Probe.objects.all()) == [kept]
