"""The company's forty people and what they write to each other: channels, messages, threads, reactions.

They write on working days, in the hours of where they live. Everything happens on the shared timeline; what is edited,
deleted, reacted to or answered late happens at its own moment, so a reader that looked before has to look again.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox import names
from sandbox.engineering import Person
from sandbox.ids import Ids
from sandbox.timeline import DAY, HOUR, Timeline, utc

SIZE = 40
#: Messages that begin something, on a working day at scale 1; about one in eight becomes a thread.
MESSAGES_PER_DAY = 11
#: (department, how many people; engineers come first and are those of the repositories)
_DEPARTMENTS = (("Engineering", 14), ("Product", 5), ("Support", 6), ("Sales", 7), ("Marketing", 4), ("Operations", 4))
#: (id, name, share of the messages, who writes there most, purpose)
_CHANNELS = (
    ("C0GENERAL", "general", 22, "", "Announcements and anything for everybody"),
    ("C0PRODUCT", "product", 20, "Product", "What we build next and why"),
    ("C0ENGINEERING", "engineering", 28, "Engineering", "How we build it"),
    ("C0SUPPORT", "support", 12, "Support", "What customers ask"),
    ("C0SALESDESK", "sales", 10, "Sales", "Deals and calls"),
    ("C0RANDOMLY", "random", 8, "", "Cats, mostly"),
)
ARCHIVED = ("C0OLDLAUNCH", "launch-2023")
#: Where people live: name, seconds from UTC, label, share.
_ZONES = (
    ("America/Los_Angeles", -8 * HOUR, "Pacific Standard Time", 4),
    ("America/New_York", -5 * HOUR, "Eastern Standard Time", 8),
    ("Europe/Berlin", HOUR, "Central European Time", 6),
)
_EMOJI = {"+1": 30, "eyes": 14, "tada": 12, "heart": 10, "white_check_mark": 10, "joy": 8, "rocket": 6, "thinking_face": 4}  # fmt: skip
_TOPICS = (
    "the audit log", "seat counting", "the renewal of a big customer", "search", "the roadmap", "on-call",
    "the pricing page", "onboarding", "the mobile layout", "next week's demo", "the incident of last night", "hiring",
)  # fmt: skip
_OPENINGS = (
    "Quick question about {}.", "Heads up: {} changes on Monday.", "Has anybody looked at {}?", "Notes on {} are up.",
    "I think {} is done, please have a look.", "We should talk about {} – 15 minutes?", "Good news on {} :tada:",
)  # fmt: skip
_ANSWERS = ("On it.", "Looks good to me.", "Can we do that tomorrow?", "Fixed, thanks!", "I am not sure, let me check.", "+1", "Größe stimmt jetzt – «ok».")  # fmt: skip


@dataclass(slots=True)
class Member:
    """Somebody in the workspace. ``zone`` is where they live: name, seconds from UTC, label."""

    id: str
    name: str
    handle: str
    email: str
    department: str
    zone: tuple[str, int, str]
    updated_at: int


@dataclass(slots=True)
class Message:
    """A message or, with ``thread_ts``, a reply. ``reactions``: emoji → who, in the order in which they came."""

    ts: str
    author: Member
    text: str
    thread_ts: str | None = None
    edited_ts: str | None = None
    has_file: bool = False
    reactions: dict[str, list[str]] = field(default_factory=dict)
    replies: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Channel:
    """A channel and its messages, oldest first; replies are in their thread only."""

    id: str
    name: str
    purpose: str
    created_at: int
    creator: Member
    weight: int
    department: str
    is_archived: bool = False
    messages: list[Message] = field(default_factory=list)


class Team:
    """Who works here and what they write. ``engineers`` are the people who also write code."""

    def __init__(
        self, timeline: Timeline, ids: Ids, rng: random.Random, *, scale: float, engineers: Sequence[Person]
    ) -> None:
        self.timeline = timeline
        self.rng = rng
        self.scale = scale
        self.members = _people(rng, timeline.now, engineers)
        self.channels: dict[str, Channel] = {}
        self._stamps = ids
        start = timeline.now
        for number, (id_, name, weight, department, purpose) in enumerate(_CHANNELS):
            founder = self.members[number]
            self.channels[id_] = Channel(id_, name, purpose, start - 700 * DAY, founder, weight, department)
        id_, name = ARCHIVED
        old = Channel(id_, name, "The launch of 2023", start - 300 * DAY, self.members[3], 0, "", is_archived=True)
        self.channels[id_] = old
        for hour in range(3):
            old.messages.append(Message(self._ts(start - 200 * DAY + hour * HOUR), self.members[hour], "We are live."))
        timeline.at(start + HOUR, self._day)

    def of(self, department: str) -> list[Member]:
        """The people of a department."""
        return [member for member in self.members if member.department == department]

    def find(self, channel: str, ts: str) -> Message | None:
        """The message of a channel (no reply) with this ts."""
        # from the newest back: what is looked for was mostly just written, and a large world has very many
        return next((message for message in reversed(self.channels[channel].messages) if message.ts == ts), None)

    def _ts(self, moment: int) -> str:
        """A moment with six more digits that no other message has."""
        return f"{moment}.{self._stamps.number('slack-ts', 100) % 1_000_000:06d}"

    # -- writing ---------------------------------------------------------------------------------------------------

    def _day(self) -> None:
        """Plan what is written today."""
        now = self.timeline.now
        self.timeline.at(now + DAY, self._day)
        weekend = utc(now).weekday() >= 5
        mean = MESSAGES_PER_DAY * self.scale * (0.06 if weekend else self.rng.uniform(0.7, 1.3))
        count = int(mean) + (self.rng.random() < mean % 1)
        for _ in range(count):
            channel = self._channel()
            author = self._author(channel)
            self.timeline.at(now - now % DAY + self._working_second(author), self._write, channel, author)

    def _channel(self) -> Channel:
        channels = [channel for channel in self.channels.values() if channel.weight]
        return self.rng.choices(channels, [channel.weight for channel in channels])[0]

    def _author(self, channel: Channel) -> Member:
        if channel.department and self.rng.random() < 0.75:
            return self.rng.choice(self.of(channel.department))
        return self.rng.choice(self.members)

    def _working_second(self, member: Member) -> int:
        """A second between 9:00 and 18:00 where somebody lives, in seconds after midnight UTC."""
        return round(self.rng.triangular(9, 18, 11) * HOUR) - member.zone[1]

    def _write(self, channel: Channel, author: Member) -> None:
        now = self.timeline.now
        text = self.rng.choice(_OPENINGS).format(self.rng.choice(_TOPICS))
        message = Message(self._ts(now), author, text, has_file=self.rng.random() < 0.05)
        insort(channel.messages, message, key=lambda each: each.ts)
        if self.rng.random() < 0.13:
            for _ in range(1 + int(self.rng.expovariate(1 / 2.0))):
                # most answer soon, some on another day, very few much later
                wait = self.rng.choices((0.6, 20, 90), (80, 17, 3))[0] * HOUR
                self.timeline.at(now + 60 + round(self.rng.expovariate(1 / wait)), self._reply, channel, message)
        self._react_later(channel, message, 0.3)
        if self.rng.random() < 0.04:
            self.timeline.at(now + self.rng.randint(60, 6 * HOUR), self._edit, message)
        if self.rng.random() < 0.012:
            self.timeline.at(now + self.rng.randint(120, 2 * DAY), self._delete, channel, message)

    def _reply(self, channel: Channel, parent: Message) -> None:
        if self.find(channel.id, parent.ts) is None:
            return
        reply = Message(self._ts(self.timeline.now), self._author(channel), self.rng.choice(_ANSWERS), parent.ts)
        parent.thread_ts = parent.ts
        parent.replies.append(reply)
        self._react_later(channel, reply, 0.15)

    def _react_later(self, channel: Channel, message: Message, chance: float) -> None:
        if self.rng.random() < chance:
            for _ in range(1 + int(self.rng.expovariate(1 / 1.5))):
                wait = 20 + round(self.rng.expovariate(1 / (2 * HOUR)))
                self.timeline.at(self.timeline.now + wait, self._react, channel, message)

    def _react(self, channel: Channel, message: Message) -> None:
        emoji = self.rng.choices(list(_EMOJI), list(_EMOJI.values()))[0]
        who = message.reactions.setdefault(emoji, [])
        member = self._author(channel)
        if member.id not in who:
            who.append(member.id)

    def _edit(self, message: Message) -> None:
        message.text += " (edited)"
        message.edited_ts = f"{self.timeline.now}.000000"

    def _delete(self, channel: Channel, message: Message) -> None:
        if not message.replies and message in channel.messages:
            channel.messages.remove(message)


def _people(rng: random.Random, now: int, engineers: Sequence[Person]) -> list[Member]:
    members: list[Member] = []
    taken: set[str] = set()
    for department, count in _DEPARTMENTS:
        for number in range(count):
            if department == "Engineering":
                name = engineers[number].name
            else:
                name = names.person(rng)
                while name in taken:
                    name = names.person(rng)
            taken.add(name)
            handle = names.local_part(name)
            zone, shift, label, _ = rng.choices(_ZONES, [each[3] for each in _ZONES])[0]
            id_ = f"U0{len(members) + 1:03d}{handle.replace('.', '')[:4].upper()}"
            members.append(
                Member(id_, name, handle, f"{handle}@tidewater.example", department, (zone, shift, label), now)
            )
    assert len(members) == SIZE
    return members
