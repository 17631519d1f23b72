"""Identifiers in the vendors' shapes, the same for the same seed."""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


#: Most of a world's building time goes into identifiers: ten digits are split off at once, so that the rest is arithmetic
#: with small numbers, two digits at a time.
_PAIRS = [low + high for high in _ALPHABET for low in _ALPHABET]
_TEN_DIGITS = 62**10


def _base62(digest: bytes, length: int) -> str:
    """The lowest digits of a number, the lowest first."""
    number = int.from_bytes(digest, "big")
    out = []
    for _ in range(0, length, 10):
        number, small = divmod(number, _TEN_DIGITS)
        for _ in range(5):
            small, rest = divmod(small, 3844)
            out.append(_PAIRS[rest])
    return "".join(out)[:length]


class Ids:
    """Hands out identifiers: each kind counts for itself, so one kind more does not shift the others."""

    _SHAPES = {"cus": 14, "si": 14, "prod": 14, "di": 14, "card": 24, "txr": 24}

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counters: dict[str, int] = defaultdict(int)

    def _digest(self, kind: str, number: int, size: int = 32) -> bytes:
        return hashlib.blake2b(f"{self._seed}:{kind}:{number}".encode(), digest_size=size).digest()

    def stripe(self, prefix: str) -> str:
        """An id such as ``cus_9s6XKzkNRiz8i3`` or ``in_1MtHbELkdIwHu7ixl4OzzPMv``."""
        self._counters[prefix] += 1
        digest = self._digest(prefix, self._counters[prefix])
        short = self._SHAPES.get(prefix)
        if short:
            return f"{prefix}_{_base62(digest, short)}"
        lead = "3" if prefix in {"ch", "pi", "re", "txn"} else "1"
        return f"{prefix}_{lead}{_base62(digest, 23)}"

    def sha(self, kind: str = "commit") -> str:
        """A git object id: 40 hexadecimal digits."""
        self._counters[kind] += 1
        return self._digest(kind, self._counters[kind], 20).hex()

    def uuid(self, kind: str) -> str:
        """A version 4 shaped uuid."""
        self._counters[kind] += 1
        return str(uuid.UUID(bytes=self._digest(kind, self._counters[kind], 16), version=4))

    def number(self, kind: str, start: int = 1) -> int:
        """The next whole number of this kind, counted from ``start``."""
        self._counters[kind] += 1
        return start + self._counters[kind] - 1

    def prefix(self, kind: str) -> str:
        """Eight characters as Stripe puts before an invoice number."""
        self._counters[kind] += 1
        return self._digest(kind, self._counters[kind], 4).hex().upper()
