from __future__ import annotations

import pytest

from sources.cursors import read_up_to


@pytest.mark.parametrize(
    ("cursor", "words"),
    [
        (None, "no place kept yet"),
        ("2026-11-25T14:05:00Z", "read up to 25 November 2026, 14:05 UTC"),
        ("2026-11-25T14:05:00+02:00", "read up to 25 November 2026, 12:05 UTC"),
        ({"event_at": 1_795_615_500, "seen": []}, "read up to 25 November 2026, 14:05 UTC"),
        (
            {"acme/web": {"updated": "2026-11-25T14:05:00Z", "seen": {}}, "acme/api": {"updated": "2026-01-01"}},
            "read up to 25 November 2026, 14:05 UTC",
        ),
        (
            {"value": "2026-11-25 14:05:00.5+00", "edge": "2026-11-25 13:55:00+00", "window": "3:17"},
            "read up to 25 November 2026, 14:05 UTC",
        ),
        ({"value": "12345", "edge": "11345", "window": "3:17"}, "read up to number 12,345"),
        (1_795_615_500, "read up to number 1,795,615,500"),
        ({"acme/web": {"head": "2f0c"}}, "read up to a place only the system itself can name"),
    ],
)
def test_a_cursor_says_what_it_means(cursor, words):
    assert read_up_to(cursor) == words
