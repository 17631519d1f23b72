"""Keep secrets out of everything that is written down.

Two nets: the exact values that are in use right now (`with secrets_hidden(...)`), and the shapes that vendors
give their tokens. The first is certain, the second catches what slipped past.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

MASK = "[hidden]"

# Of the whole process, not of one thread: libraries log from threads of their own, which know nothing of our context.
_in_use: Counter[str] = Counter()
_lock = threading.Lock()

# A value shorter than this would mask ordinary words ("dev", "1234"); such a secret is no secret.
_SHORTEST = 6

_SHAPES = re.compile(
    r"""
    \b(?:sk|rk|pk|whsec)_(?:live|test)?_?[A-Za-z0-9]{8,}      # Stripe
    | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_\w{20,}     # GitHub
    | \bxox[abeoprs]-[A-Za-z0-9-]{8,}                         # Slack
    | \bpat-(?:na|eu)\d-[0-9a-f-]{16,}                        # HubSpot
    | (?<=bearer\ )(?=\S*\d)[\w.~+/=-]{8,}                    # a digit tells a token from a word
    | (?<=basic\ )(?=\S*[\d=])[A-Za-z0-9+/=]{8,}
    | (?<=://)[^/\s:@]*:[^@\s]+(?=@)                          # user:password in an address
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
      (?:.*?-----END\ [A-Z ]*PRIVATE\ KEY-----|[\w+/=\s\\[\]]*)   # or as much of it as an excerpt has
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_NAMES = r"(?:password|passwd|pwd|secret|client_secret|secret_key|api_?key|access_token|auth_token|token|private_key)"
# password=… in a connection string or an address, "password": "…" in JSON or a printed dict.
_NAMED = re.compile(rf"""(\b{_NAMES}=|["']{_NAMES}["']:\s*["'])[^\s"'&,;)}}]+""", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` with every known secret and everything shaped like one replaced by `[hidden]`."""
    if not text:
        return text
    with _lock:
        values = sorted(_in_use, key=len, reverse=True)
    for value in values:
        text = text.replace(value, MASK)
    return _NAMED.sub(rf"\1{MASK}", _SHAPES.sub(MASK, text))


@contextmanager
def secrets_hidden(values: Iterable[str]) -> Iterator[None]:
    """Within this block `redact` (and so every failure and log line) hides these exact values."""
    forms = {
        form
        for value in values
        if isinstance(value, str) and len(value) >= _SHORTEST
        for form in _forms(value)
        if len(form) >= _SHORTEST
    }
    with _lock:
        _in_use.update(forms)
    try:
        yield
    finally:
        with _lock:
            _in_use.subtract(forms)
            for form in forms:
                if _in_use[form] <= 0:
                    del _in_use[form]


def _forms(value: str) -> set[str]:
    """The value as it is, in an address, in JSON, in a printed dict; quoted text is also printed inside quoted text."""
    forms = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1], repr(value)[1:-1]}
    forms |= {json.dumps(value, ensure_ascii=False)[1:-1], value.encode("unicode_escape").decode()}
    return forms | {form.strip() for form in forms} | set(_key_lines(value))


def _key_lines(value: str) -> Iterator[str]:
    """The lines of a private key inside `value`, however its line ends are written: one line alone must not show."""
    for key in _PEM.findall(value):
        yield from (line for line in re.split(r"(?:\\+[nr]|\s)+", key) if len(line) >= _SHORTEST)


class RedactingFormatter(logging.Formatter):
    """The formatter of every log handler: also exceptions' texts pass through `redact`."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
