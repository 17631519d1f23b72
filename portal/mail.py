"""Send one mail, text and HTML, through the mail server of the settings. Every refusal becomes a sentence."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from portal.failures import PortalError, TerminalError, TransientError

_SUBJECT_LENGTH = 150


def one_line(text: str, limit: int = _SUBJECT_LENGTH) -> str:
    """`text` fit for a header: one line without control characters, cut at a word where it is too long."""
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(words) <= limit:
        return words
    return words[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


def send(recipient: str, subject: str, text: str, html: str, *, headers: Mapping[str, str] | None = None) -> None:
    """Send one mail to one address; returns when the server took it.

    The style sheet of `html` is written into its elements, because mail programs ignore style sheets; media queries
    (dark mode) stay in the head. Raises `TerminalError` (kind "mail_refused") when the server refused this mail for
    good, `TransientError` (kind "mail") when another attempt may succeed, also after somebody mended the settings.
    """
    message = EmailMultiAlternatives(
        subject=one_line(subject),
        body=text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[one_line(recipient, 254)],
        headers={"Auto-Submitted": "auto-generated", **{k: one_line(v, 500) for k, v in (headers or {}).items()}},
    )
    message.attach_alternative(
        css_inline.inline(html, keep_style_tags=True, load_remote_stylesheets=False), "text/html"
    )
    try:
        message.send(fail_silently=False)
    except (smtplib.SMTPException, ssl.SSLError, OSError, ValueError) as error:
        raise _explained(error, recipient) from error


def _answer(code: int, message: bytes | str) -> str:
    text = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    return f"{code} {' '.join(text.split())}"


def _explained(error: Exception, recipient: str) -> PortalError:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, message = next(iter(error.recipients.values()), (0, b""))
        answer = _answer(code, message)
        if 500 <= code < 600:
            return TerminalError(
                f"The mail server refuses the address {recipient} for good: {answer}.",
                f"RCPT TO was answered with {answer}.",
                kind="mail_refused",
            )
        return TransientError(
            f"The mail server does not take mail for {recipient} just now: {answer}.",
            f"RCPT TO was answered with {answer}.",
            kind="mail",
        )
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return TransientError(
            "The mail server did not accept the log-in of the portal. Look at EMAIL_URL.",
            _answer(error.smtp_code, error.smtp_error),
            kind="mail",
        )
    if isinstance(error, smtplib.SMTPSenderRefused):
        return TransientError(
            "The mail server refuses the portal's own address as a sender. Look at FROM_EMAIL.",
            _answer(error.smtp_code, error.smtp_error),
            kind="mail",
        )
    if isinstance(error, smtplib.SMTPDataError) and 500 <= error.smtp_code < 600:
        answer = _answer(error.smtp_code, error.smtp_error)
        return TerminalError(f"The mail server refuses this mail for good: {answer}.", answer, kind="mail_refused")
    if isinstance(error, ValueError):  # an address that no header can carry
        return TerminalError(f"“{recipient}” is no address a mail can be sent to.", repr(error), kind="mail_refused")
    return TransientError(
        "The mail server could not be reached or broke off.", f"{type(error).__name__}: {error}", kind="mail"
    )
