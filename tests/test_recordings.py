"""The recorder plays back what was recorded, and nothing else."""

from __future__ import annotations

import requests


def test_a_recorded_chain_of_pages_is_played_in_order(recording):
    tape = recording("github/recorded/hub4j-issues-closed-pages-01-04.json", "four pages by Link header")
    base = tape.play()

    answers = [
        requests.get(base + each["request"]["url"].removeprefix("https://api.github.com"), timeout=5)
        for each in tape.interactions
    ]

    assert [answer.json() for answer in answers] == [each["response"]["body"] for each in tape.interactions]
    assert "next" in answers[0].links
