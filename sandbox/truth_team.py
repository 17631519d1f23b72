"""Ground truth of the team's conversations: what was written in each channel on each UTC day, and by how many people.

Told by the messages themselves as they are now; a message that somebody deleted does not count. A reaction counts on the
day of what it is under.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from sandbox.company import Company
from sandbox.team import Message
from sandbox.timeline import day_of


@dataclass(frozen=True, slots=True)
class ChannelDay:
    day: dt.date
    channel: str
    messages: int
    thread_replies: int
    reactions: int
    authors: int


def channel_days(company: Company) -> list[ChannelDay]:
    """Every channel and day on which anything was written."""
    written: dict[tuple[dt.date, str], list[Message]] = defaultdict(list)
    with company.lock:
        for channel in company.team.channels.values():
            for message in channel.messages:
                for each in (message, *message.replies):
                    written[day_of(int(each.ts.split(".")[0])), channel.name].append(each)
    return [
        ChannelDay(
            day,
            channel,
            messages=sum(each.thread_ts in {None, each.ts} for each in found),
            thread_replies=sum(each.thread_ts not in {None, each.ts} for each in found),
            reactions=sum(len(who) for each in found for who in each.reactions.values()),
            authors=len({each.author.id for each in found}),
        )
        for (day, channel), found in sorted(written.items(), key=lambda pair: pair[0])
    ]
