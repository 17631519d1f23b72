from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection

from portal.crypto import Secrets, decrypt, encrypt
from portal.failures import TerminalError
from sources.models import Source
from tests.factories import SourceFactory

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_what_is_encrypted_comes_back_and_differs_each_time():
    values = {"api_key": "key_öäü", "other": "x"}
    one, two = encrypt(values), encrypt(values)
    assert one != two
    assert "key_" not in one
    assert dict(decrypt(one)) == dict(decrypt(two)) == values


def test_everything_is_written_with_the_first_key_and_read_with_any(settings):
    settings.SECRETS_KEYS = [OLD]
    old = encrypt({"a": "1"})
    settings.SECRETS_KEYS = [NEW, OLD]
    assert dict(decrypt(old)) == {"a": "1"}
    new = encrypt({"a": "2"})
    settings.SECRETS_KEYS = [NEW]
    assert dict(decrypt(new)) == {"a": "2"}
    with pytest.raises(TerminalError, match="cannot be opened"):
        decrypt(old)


def test_a_changed_value_is_not_opened():
    token = encrypt({"a": "1"})
    with pytest.raises(TerminalError):
        decrypt(token[:-4] + "AAA=")


def test_secrets_never_print_their_values():
    secrets = Secrets(api_key="key_0123456789", token="tok")
    for text in (repr(secrets), str(secrets), f"{secrets}", f"{secrets!r}", "%s" % secrets, repr([secrets])):  # noqa: UP031
        assert "key_0123456789" not in text
        assert "api_key, token" in text
    assert "none" in repr(Secrets())


@pytest.mark.django_db
def test_a_field_holds_no_plain_text_in_the_database_nor_in_a_dump():
    source = SourceFactory(secrets={"api_key": "key_0123456789"})
    with connection.cursor() as cursor:
        cursor.execute("select secrets from sources_source")
        (stored,) = cursor.fetchone()
    assert "key_0123456789" not in stored
    dumped = serializers.serialize("json", Source.objects.all())
    assert "key_0123456789" not in dumped
    assert dict(decrypt(json.loads(dumped)[0]["fields"]["secrets"])) == {"api_key": "key_0123456789"}
    assert isinstance(Source.objects.get(pk=source.pk).secrets, Secrets)


@pytest.mark.django_db
def test_a_dump_can_be_loaded_again():
    source = SourceFactory(secrets={"api_key": "key_0123456789"})
    dumped = serializers.serialize("json", Source.objects.all())
    for row in serializers.deserialize("json", dumped):
        row.save()
    assert dict(Source.objects.get(pk=source.pk).secrets) == {"api_key": "key_0123456789"}


@pytest.mark.django_db
def test_no_secrets_are_an_empty_column():
    SourceFactory(secrets={})
    with connection.cursor() as cursor:
        cursor.execute("select secrets from sources_source")
        assert cursor.fetchone() == ("",)
    assert Source.objects.get().secrets == {}
