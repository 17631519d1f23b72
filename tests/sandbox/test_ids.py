"""Identifiers: digits by the plain definition, however they are worked out."""

from __future__ import annotations

import random

import pytest

from sandbox.ids import _ALPHABET, _base62


@pytest.mark.parametrize("length", [1, 9, 10, 14, 23, 24, 31])
def test_an_identifier_holds_the_lowest_digits_first(length):
    digest = random.Random(length).randbytes(32)
    number = int.from_bytes(digest, "big")
    assert _base62(digest, length) == "".join(_ALPHABET[number // 62**place % 62] for place in range(length))
