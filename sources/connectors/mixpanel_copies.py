"""Which events of an export may have been delivered more than once, found in 32 MB whatever their number.

Two rounds: the first notes every key as one bit of a large field, and as one of a second field where the bit was set
already; the second round asks. A key that shares its bit with another by chance is only looked at more closely.
"""

from __future__ import annotations

import hashlib
from typing import Any

BITS = 27


class Copies:
    def __init__(self) -> None:
        self._once = bytearray(1 << (BITS - 3))
        self._again = bytearray(1 << (BITS - 3))

    def note(self, key: tuple[Any, ...]) -> None:
        """The first round."""
        byte, bit = _place(key)
        if self._once[byte] & bit:
            self._again[byte] |= bit
        else:
            self._once[byte] |= bit

    def may_have(self, key: tuple[Any, ...]) -> bool:
        """Whether this key may have come more than once; never false for one that did."""
        byte, bit = _place(key)
        return bool(self._again[byte] & bit)


def _place(key: tuple[Any, ...]) -> tuple[int, int]:
    number = int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=4).digest()) >> (32 - BITS)
    return number >> 3, 1 << (number & 7)
