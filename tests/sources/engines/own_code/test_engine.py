"""A company's own code against a real DuckDB file: its dispositions, its state, and what is left out when it fails."""

from __future__ import annotations

import pytest

from sources.engines.own_code.engine import OwnCodeEngine
from tests.sources.engines.own_code.slack import TOKEN

pytestmark = pytest.mark.slow


def test_the_company_s_file_loads_unchanged_and_goes_on_where_it_was(slack_activity, slack, sync, query):
    slack.say("C0GENERAL", "1700000001.000100", "1700000002.000100", reactions=[{"name": "tada"}])
    slack.say("C0PRODUCT", "1700000003.000100", reply_count=4)

    first = sync("slack_activity", "messages")

    assert first.rows == {"messages": 3}
    assert first.has_new_data
    assert first.streams[0].cursor == "1700000003.000100"
    assert first.streams[0].columns["reaction_count"] == "bigint"
    slack.say("C0GENERAL", "1700000004.000100")
    asked = len(slack.requests)
    assert sync("slack_activity", "messages").rows == {"messages": 1}
    assert slack.requests[asked]["oldest"] == "1700000003.000100"
    assert query("select ts, channel, reaction_count, thread_reply_count from raw_slack_activity.messages order by ts") == [
        ("1700000001.000100", "C0GENERAL", 1, 0),
        ("1700000002.000100", "C0GENERAL", 1, 0),
        ("1700000003.000100", "C0PRODUCT", 0, 4),
        ("1700000004.000100", "C0GENERAL", 0, 0),
    ]  # fmt: skip


def test_a_test_of_it_says_what_came(slack_activity, slack):
    slack.say("C0GENERAL", "1700000001.000100")

    assert OwnCodeEngine().check("slack_activity", {"slack_token": TOKEN}) == (
        "slack_activity.py runs: messages sent 1 row on a first look. Nothing was loaded."
    )
