from __future__ import annotations

import json
import logging
import threading

import pytest

from portal.failures import PortalError, TerminalError, TransientError, as_portal_error
from portal.redact import MASK, RedactingFormatter, redact, secrets_hidden

PASSWORD = "correct horse/battery+staple"


@pytest.mark.parametrize(
    "text",
    [
        "sk_live_51H8abcdefghijk",
        "rk_test_0123456789abcdef",
        "whsec_0123456789abcdef",
        "ghp_0123456789abcdefghij",
        "github_pat_11AAAAAAA0123456789_abcdef",
        "xoxb-123456789012-abcdef",
        "pat-na1-0123abcd-0123-abcd-0123",
        "Authorization: Bearer abc.def-ghi012345",
        "authorization: bearer abc.def-ghi012345",
        "AUTHORIZATION: BEARER abc.def-ghi012345",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "postgresql://reader:hunter2-secret@db/app",
        "postgresql://reader:p%40ss/word@db/app",
        "redis://:only-a-password@cache:6379/0",
        "password=hunter2-secret host=db",
        "{'password': 'hunter2-secret'}",
        '{"client_secret": "hunter2-secret"}',
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_is_shaped_like_a_secret_is_hidden(text):
    hidden = redact(f"before {text} after")
    assert MASK in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith(" after")
    for part in (
        "0123456789abc",
        "hunter2",
        "51H8",
        "ghi012345",
        "dXNl",
        "p%40ss",
        "only-a-password",
        "MIIE",
        "0123abcd",
    ):
        assert part not in hidden


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The key was refused.",
        "https://api.stripe.com/v1/customers?limit=100",
        "stripe · 12:30:45",
        "the password was wrong",
        "user: reader, database: app",
        "rows: 12, bearer of good news",
        "Look at https://example.com/a:b and c@d.example",
    ],
)
def test_ordinary_text_stays(text):
    assert redact(text) == text


def test_the_exact_values_in_use_are_hidden_also_when_encoded_for_an_address():
    with secrets_hidden([PASSWORD]):
        hidden = redact(f"{PASSWORD} correct%20horse%2Fbattery%2Bstaple correct+horse%2Fbattery%2Bstaple {PASSWORD!r}")
    assert "horse" not in hidden


def test_a_value_with_quotes_and_newlines_is_hidden_also_in_its_repr_and_as_json():
    value = "li'ne\"one\nline\\two-end"
    with secrets_hidden([value]):
        for text in (repr(value), json.dumps(value), json.dumps({"error": value}), repr({"error": value})):
            assert "two-end" not in redact(text), text


PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join(f"{n}ne{'Abc+/' * 12}" for n in range(4))
    + "\nlast/line==\n-----END PRIVATE KEY-----\n"
)


@pytest.mark.parametrize(
    "said", [str, repr, json.dumps, lambda key: json.dumps(json.dumps(key)), lambda key: key[:150]]
)
def test_a_private_key_inside_a_json_key_is_hidden_in_any_quoting_and_in_part(said):
    pasted = json.dumps({"type": "service_account", "client_email": "a@b.example", "private_key": PEM}, indent=2)
    for text in (said(PEM), said(pasted), said(pasted.replace("\n", "\r\n")), *PEM.splitlines()[1:-1]):
        with secrets_hidden([pasted]):
            hidden = redact(f"about a@b.example: {text}")
        assert "Abc+/" not in hidden
        assert "last/line" not in hidden
        assert hidden.startswith("about a@b.example: ")


def test_after_the_block_the_values_are_forgotten_and_blocks_nest():
    with secrets_hidden(["outer-secret"]):
        with secrets_hidden(["inner-secret"]):
            assert redact("outer-secret inner-secret") == f"{MASK} {MASK}"
        assert redact("outer-secret inner-secret") == f"{MASK} inner-secret"
    assert redact("outer-secret") == "outer-secret"


def test_a_longer_secret_is_hidden_whole_when_it_contains_a_shorter_one():
    with secrets_hidden(["abcdef", "abcdef-and-more"]):
        assert redact("x abcdef-and-more y") == f"x {MASK} y"


def test_short_and_empty_values_do_not_mask_ordinary_words():
    with secrets_hidden(["", "dev", None, 5]):  # type: ignore[list-item]
        assert redact("development on 5 machines") == "development on 5 machines"


def test_failures_keep_no_secret():
    with secrets_hidden([PASSWORD]):
        for error in (
            PortalError(f"Refused: {PASSWORD}.", f"detail {PASSWORD}"),
            TransientError(f"Refused: {PASSWORD}.", f"detail {PASSWORD}"),
            as_portal_error(RuntimeError(f"cannot log in with {PASSWORD}")),
        ):
            written = f"{error} {error!r} {error.args} {error.sentence} {error.detail}"
            assert "horse" not in written


def test_an_unforeseen_error_says_its_kind_to_people_and_its_trace_to_engineers():
    try:
        raise KeyError("amount")
    except KeyError as caught:
        error = as_portal_error(caught)
    assert error.kind == "unforeseen"
    assert "KeyError" in error.sentence
    assert "amount" not in error.sentence
    assert "raise KeyError" in error.detail
    terminal = TerminalError("Known.")
    assert as_portal_error(terminal) is terminal


def _logged(record: logging.LogRecord) -> str:
    return RedactingFormatter("{levelname} {message}", style="{").format(record)


def test_log_lines_and_their_tracebacks_are_redacted():
    try:
        raise ValueError(f"bad login {PASSWORD}")
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "with %s", (PASSWORD,), sys.exc_info())
    with secrets_hidden([PASSWORD]):
        line = _logged(record)
    assert "horse" not in line
    assert "Traceback" in line


def test_threads_that_a_library_starts_hide_the_values_in_use_too():
    seen: list[str] = []
    with secrets_hidden([PASSWORD]):
        thread = threading.Thread(target=lambda: seen.append(redact(PASSWORD)))
        thread.start()
        thread.join()
    assert seen == [MASK]


def test_one_block_that_ends_does_not_uncover_the_same_value_of_another():
    with secrets_hidden(["shared-secret"]):
        with secrets_hidden(["shared-secret"]):
            pass
        assert redact("shared-secret") == MASK
    assert redact("shared-secret") == "shared-secret"
