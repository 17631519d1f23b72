"""Mail that no header can break, and refusals that become sentences."""

from __future__ import annotations

import smtplib

import pytest
from django.core import mail as outbox

from portal import mail
from portal.failures import TerminalError, TransientError


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a  b\r\nBcc: x", "a b Bcc: x"),
        ("tab\tand\x00null\u2028line", "tab and null line"),
        ("short", "short"),
        ("", ""),
    ],
)
def test_a_header_is_one_line(text, line):
    assert mail.one_line(text) == line


def test_a_long_header_is_cut_at_a_word():
    cut = mail.one_line("many words " * 40)
    assert len(cut) <= 150
    assert cut.endswith(("many…", "words…"))


def test_the_style_sheet_is_written_into_the_elements(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mail.send("a@example.com", "Hello", "text", "<style>p { color: red }</style><p>html</p>")
    (message,) = outbox.outbox
    (alternative,) = message.alternatives
    assert '<p style="color: red;">html</p>' in alternative.content
    assert (message.subject, message.to, message.body) == ("Hello", ["a@example.com"], "text")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (smtplib.SMTPRecipientsRefused({"a@example.com": (550, b"No such user")}), TerminalError, "550 No such user"),
        (smtplib.SMTPRecipientsRefused({"a@example.com": (450, b"Later")}), TransientError, "just now: 450 Later"),
        (smtplib.SMTPAuthenticationError(535, b"Bad"), TransientError, "EMAIL_URL"),
        (smtplib.SMTPSenderRefused(550, b"Who?", "x"), TransientError, "FROM_EMAIL"),
        (smtplib.SMTPDataError(554, b"Spam"), TerminalError, "554 Spam"),
        (smtplib.SMTPDataError(451, b"Busy"), TransientError, "broke off"),
        (smtplib.SMTPServerDisconnected("gone"), TransientError, "broke off"),
        (ConnectionRefusedError(111, "refused"), TransientError, "could not be reached"),
        (TimeoutError("timed out"), TransientError, "could not be reached"),
    ],
)
def test_every_refusal_says_whether_to_try_again(settings, monkeypatch, error, kind, words):
    def refuse(self, fail_silently=False):
        raise error

    monkeypatch.setattr(mail.EmailMultiAlternatives, "send", refuse)
    with pytest.raises(kind) as caught:
        mail.send("a@example.com", "x", "x", "<p>x</p>")
    assert words in caught.value.sentence
