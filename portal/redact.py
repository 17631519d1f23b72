"""Keep secrets out of everything that is written down.

Two nets: the exact values that are in use right now (`with secrets_hidden(...)`), and the shapes that vendors
give their tokens. The first is certain, the second catches what slipped past.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import quote, quote_plus

MASK = "[hidden]"

_in_use: ContextVar[frozenset[str]] = ContextVar("secrets_in_use", default=frozenset())

# A value shorter than this would mask ordinary words ("dev", "1234"); such a secret is no secret.
_SHORTEST = 6

_SHAPES = re.compile(
    r"""
    \b(?:sk|rk|pk|whsec)_(?:live|test)?_?[A-Za-z0-9]{8,}      # Stripe
    | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_\w{20,}     # GitHub
    | \bxox[abeoprs]-[A-Za-z0-9-]{8,}                         # Slack
    | \bpat-(?:na|eu)\d-[0-9a-f-]{16,}                        # HubSpot
    | (?<=[Bb]earer\ )[A-Za-z0-9._~+/=-]{8,}
    | (?<=[Bb]asic\ )[A-Za-z0-9+/=]{8,}
    | (?<=://)[^/\s:@]+:[^@\s/]+(?=@)                         # user:password in an address
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?-----END\ [A-Z ]*PRIVATE\ KEY-----
    """,
    re.VERBOSE | re.DOTALL,
)


def redact(text: str) -> str:
    """Return `text` with every known secret and everything shaped like one replaced by `[hidden]`."""
    if not text:
        return text
    for value in sorted(_in_use.get(), key=len, reverse=True):
        text = text.replace(value, MASK)
    return _SHAPES.sub(MASK, text)


@contextmanager
def secrets_hidden(values: Iterable[str]) -> Iterator[None]:
    """Within this block `redact` (and so every failure and log line) hides these exact values."""
    plain = {value for value in values if isinstance(value, str) and len(value) >= _SHORTEST}
    encoded = {quote(value, safe="") for value in plain} | {quote_plus(value) for value in plain}
    token = _in_use.set(_in_use.get() | plain | encoded)
    try:
        yield
    finally:
        _in_use.reset(token)


class RedactingFormatter(logging.Formatter):
    """The formatter of every log handler: also exceptions' texts pass through `redact`."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
