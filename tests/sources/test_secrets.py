from __future__ import annotations

import pytest

from portal.failures import TerminalError
from sources.connectors.base import FieldKind, FormField
from sources.secrets import PRIVATE, check_reference, reference, resolved

PORT = FormField("port", "Port", "", FieldKind.INTEGER)
TLS = FormField("tls", "Encrypted", "", FieldKind.BOOLEAN)
TABLES = FormField("tables", "Tables", "", FieldKind.LIST)


def test_a_reference_is_the_whole_value():
    assert reference("${STRIPE_KEY}") == "STRIPE_KEY"
    for value in ("STRIPE_KEY", "x${STRIPE_KEY}", "${STRIPE KEY}", "${}", 5432, None):
        assert reference(value) is None


def test_references_are_looked_up_in_plain_and_secret_settings(monkeypatch):
    monkeypatch.setenv("SHOP_HOST", "shop.internal")
    monkeypatch.setenv("SHOP_KEY", "key_0123456789")
    values = resolved({"host": "${SHOP_HOST}", "port": 5432}, {"key": "${SHOP_KEY}"})
    assert values == {"host": "shop.internal", "port": 5432, "key": "key_0123456789"}


def test_looked_up_text_becomes_what_the_field_wants(monkeypatch):
    monkeypatch.setenv("P", "6432")
    monkeypatch.setenv("T", "Yes")
    monkeypatch.setenv("L", "users, events\nworkspaces")
    values = resolved({"port": "${P}", "tls": "${T}", "tables": "${L}"}, {}, [PORT, TLS, TABLES])
    assert values == {"port": 6432, "tls": True, "tables": ["users", "events", "workspaces"]}


def test_text_that_does_not_fit_its_field_is_a_sentence_without_the_value(monkeypatch):
    monkeypatch.setenv("P", "hunter2-not-a-port")
    with pytest.raises(TerminalError) as failure:
        resolved({"port": "${P}"}, {}, [PORT])
    assert "P should hold a whole number for “Port”" in failure.value.sentence
    assert "hunter2" not in failure.value.sentence + failure.value.detail


def test_every_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("NOT_THERE_A", raising=False)
    monkeypatch.delenv("NOT_THERE_B", raising=False)
    with pytest.raises(TerminalError, match="NOT_THERE_A, NOT_THERE_B"):
        resolved({"a": "${NOT_THERE_A}"}, {"b": "${NOT_THERE_B}"})


@pytest.mark.parametrize("name", sorted(PRIVATE))
def test_the_portals_own_keys_are_never_given_to_another_system(name, monkeypatch):
    monkeypatch.setenv(name, "very-private-value")
    with pytest.raises(ValueError, match="belongs to the portal"):
        check_reference(f"${{{name}}}")
    with pytest.raises(TerminalError) as failure:
        resolved({}, {"token": f"${{{name}}}"})
    assert "very-private-value" not in str(failure.value) + failure.value.detail
