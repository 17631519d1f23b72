from __future__ import annotations

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection

from portal.failures import TerminalError
from sources.models import Probe, Source
from tests.factories import ProbeFactory, SourceFactory

pytestmark = pytest.mark.django_db

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def tokens() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("select secrets from sources_source union all select secrets from sources_probe")
        return [token for (token,) in cursor.fetchall()]


def test_after_a_rotation_the_old_key_can_be_dropped(settings):
    settings.SECRETS_KEYS = [OLD]
    SourceFactory(secrets={"api_key": "key_one"})
    SourceFactory(secrets={})
    ProbeFactory(secrets={"api_key": "key_two"})
    before = tokens()

    settings.SECRETS_KEYS = [NEW, OLD]
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    assert "2 stored secrets now use the newest key." in out.getvalue()
    assert not set(filter(None, before)) & set(tokens())

    settings.SECRETS_KEYS = [NEW]
    assert sorted(str(dict(source.secrets)) for source in Source.objects.all()) == ["{'api_key': 'key_one'}", "{}"]
    assert dict(Probe.objects.get().secrets) == {"api_key": "key_two"}


def test_without_the_rotation_the_old_key_is_still_needed(settings):
    settings.SECRETS_KEYS = [OLD]
    SourceFactory(secrets={"api_key": "key_one"})
    settings.SECRETS_KEYS = [NEW]
    with pytest.raises(TerminalError, match="cannot be opened"):
        Source.objects.get()


def test_a_value_no_key_opens_stops_the_rotation_and_changes_nothing(settings):
    settings.SECRETS_KEYS = [OLD]
    SourceFactory(secrets={"api_key": "key_one"})
    settings.SECRETS_KEYS = [Fernet.generate_key().decode()]
    lost = SourceFactory(secrets={"api_key": "key_two"})
    settings.SECRETS_KEYS = [NEW, OLD]
    before = tokens()
    err = StringIO()
    with pytest.raises(SystemExit) as stop:
        call_command("rotate_keys", stderr=err, stdout=StringIO())
    assert stop.value.code == 1
    assert f"(source {lost.pk}.)" in err.getvalue()
    assert "key_two" not in err.getvalue()
    assert tokens() == before
