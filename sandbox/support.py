"""Customers' users write in, colleagues answer: conversations from the first word to the rating.

Colleagues work Monday to Friday, 7:00 to 19:00 UTC. Who waits long rates low. Everything happens on the shared timeline;
`cases` says what is true of each conversation, written down when it happened.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.ids import Ids
from sandbox.product import Product, User
from sandbox.team import Member
from sandbox.timeline import DAY, HOUR, Timeline, utc

#: Conversations that begin on a day at scale 1; a weekend brings a third of it.
PER_DAY = 1.9
OPENS, CLOSES = 7, 19  # hours UTC
MINUTE = 60
#: topic: (share, what they write, minutes until the first answer (median), hours of work until it is solved (median))
TOPICS = {
    "billing": (22, "Our last invoice looks wrong – can you check it?", 35, 5.0),
    "how-to": (30, "How do I move a project to another workspace?", 18, 1.2),
    "bug": (24, "The export stops in the middle since this morning.", 28, 22.0),
    "integrations": (12, "Our webhooks arrive twice.", 40, 16.0),
    "feature-request": (8, "Could you add a way to group dashboards?", 70, 8.0),
    "access": (4, "A colleague cannot sign in with SAML.", 15, 2.5),
}
_REPLIES = ("Thanks for writing in, I am looking into it.", "Could you send us the project's name?", "That is fixed now.", "I asked our engineers and come back to you.")  # fmt: skip
_BACK = ("Thanks, here it is.", "It still happens.", "That works, thank you!", "Größe 12 – see the screenshot.")
_REMARKS = {5: "Quick and friendly!", 4: "", 3: "", 2: "Took a while.", 1: "I waited far too long."}


@dataclass(slots=True)
class Admin:
    """A colleague who answers."""

    id: int
    member: Member


@dataclass(slots=True)
class Part:
    """Something that happened in a conversation. ``by`` is an Admin, a User, or None for the system."""

    id: int
    kind: str
    created_at: int
    by: Admin | User | None
    state: str
    body: str | None = None
    assigned_to: Admin | None = None


@dataclass(slots=True)
class Conversation:
    """``rating`` is 1 to 5 with its remark and the moment it was asked for."""

    id: int
    user: User
    topic: str
    body: str
    created_at: int
    updated_at: int
    is_priority: bool = False
    state: str = "open"
    admin: Admin | None = None
    waiting_since: int | None = None
    snoozed_until: int | None = None
    parts: list[Part] = field(default_factory=list)
    rating: tuple[int, str, int] | None = None
    reopens: int = 0


@dataclass(slots=True)
class Case:
    """What is true of a conversation, in seconds from its first word; None as long as it did not happen."""

    conversation_id: str
    created_at: int
    first_response_seconds: int | None = None
    first_close_seconds: int | None = None
    last_close_seconds: int | None = None
    rating: int | None = None
    reopens: int = 0
    #: When it was closed and when it was opened again, each time, in epoch seconds.
    closed_at: list[int] = field(default_factory=list)
    reopened_at: list[int] = field(default_factory=list)


class Support:
    """The inbox. ``people`` are the colleagues who answer; the first of them leads the team."""

    def __init__(
        self,
        timeline: Timeline,
        ids: Ids,
        rng: random.Random,
        product: Product,
        people: Sequence[Member],
        *,
        scale: float,
    ) -> None:
        self.timeline = timeline
        self.ids = ids
        self.rng = rng
        self.product = product
        self.scale = scale
        self.admins = [Admin(7_100_000 + 37 * number, member) for number, member in enumerate(people, 1)]
        self.conversations: dict[int, Conversation] = {}
        #: The truth, by conversation.
        self.cases: dict[int, Case] = {}
        #: When a user was last written to or wrote: contacts change with it.
        self.contacted: dict[int, int] = {}
        self.replied: dict[int, int] = {}
        timeline.at(timeline.now + 2 * DAY, self._next)

    # -- a conversation begins -------------------------------------------------------------------------------------

    def _next(self) -> None:
        now = self.timeline.now
        self.timeline.at(now + max(30, round(self.rng.expovariate(PER_DAY * self.scale / DAY))), self._next)
        if utc(now).weekday() >= 5 and self.rng.random() > 0.35:
            return
        user = self._somebody()
        if user is None:
            return
        topic = self.rng.choices(list(TOPICS), [share for share, *_ in TOPICS.values()])[0]
        number = self.ids.number("conversation", 10_001)
        is_priority = user.workspace.plan == "business"
        conversation = Conversation(
            number, user, topic, TOPICS[topic][1], now, now, is_priority=is_priority, waiting_since=now
        )
        self.conversations[number] = conversation
        self.cases[number] = Case(str(number), now)
        self.replied[user.id] = now
        if self.rng.random() < 0.015:
            return  # spam or a slip: nobody answers
        median = TOPICS[topic][2] * MINUTE * (0.6 if is_priority else 1.0)
        self.timeline.at(self._at_work(median, 0.9), self._answer, conversation, self._turns())

    def _somebody(self) -> User | None:
        """A user who is there; users are numbered in the order in which they came."""
        users = self.product.users
        if not users:
            return None
        first = next(iter(users))
        for _ in range(20):
            user = users.get(first + self.rng.randrange(len(users)))
            if user is not None and user.deleted_at is None:
                return user
        return None

    def _turns(self) -> int:
        """How often colleagues answer before it is solved."""
        return self.rng.choices((1, 2, 3, 5), (45, 32, 16, 7))[0]

    def _at_work(self, median: float, spread: float) -> int:
        """A moment some working time from now; the clock stands still while nobody works."""
        left = median * self.rng.lognormvariate(0, spread)
        moment = _open(self.timeline.now)
        while True:
            today = moment - moment % DAY + CLOSES * HOUR
            if moment + left <= today:
                return round(moment + left)
            left -= today - moment
            moment = _open(today)

    # -- and goes on -----------------------------------------------------------------------------------------------

    def _answer(self, conversation: Conversation, turns: int) -> None:
        now, case = self.timeline.now, self.cases[conversation.id]
        if conversation.admin is None:
            conversation.admin = self.rng.choice(self.admins[1:])
            self._add(conversation, "assignment", None, assigned_to=conversation.admin)
        elif self.rng.random() < 0.06:
            conversation.admin = self.admins[0]
            self._add(conversation, "assignment", conversation.admin, assigned_to=conversation.admin)
            self._add(conversation, "note", conversation.admin, "I take this one.")
        self._add(conversation, "comment", conversation.admin, self.rng.choice(_REPLIES))
        conversation.waiting_since = None
        self.contacted[conversation.user.id] = now
        if case.first_response_seconds is None:
            case.first_response_seconds = now - conversation.created_at
        work = TOPICS[conversation.topic][3] * HOUR
        if turns <= 1:
            self.timeline.at(self._at_work(work / 3, 0.8), self._close, conversation)
        elif self.rng.random() < 0.15:
            conversation.snoozed_until = now + self.rng.randint(1, 3) * DAY
            conversation.state = "snoozed"
            self._add(conversation, "snoozed", conversation.admin)
            self.timeline.at(conversation.snoozed_until, self._wake, conversation, turns - 1)
        else:
            wait = round(self.rng.lognormvariate(0, 1) * 40 * MINUTE)
            self.timeline.at(now + 60 + wait, self._write_back, conversation, turns - 1)

    def _write_back(self, conversation: Conversation, turns: int) -> None:
        self._say(conversation)
        self.timeline.at(self._at_work(45 * MINUTE, 0.9), self._answer, conversation, turns)

    def _say(self, conversation: Conversation) -> None:
        self._add(conversation, "comment", conversation.user, self.rng.choice(_BACK))
        conversation.waiting_since = conversation.waiting_since or self.timeline.now
        self.replied[conversation.user.id] = self.timeline.now

    def _wake(self, conversation: Conversation, turns: int) -> None:
        conversation.state, conversation.snoozed_until = "open", None
        self._add(conversation, "timer_unsnooze", None)
        self.timeline.at(self._at_work(20 * MINUTE, 0.7), self._answer, conversation, turns)

    def _close(self, conversation: Conversation) -> None:
        now, case = self.timeline.now, self.cases[conversation.id]
        conversation.state, conversation.waiting_since = "closed", None
        self._add(conversation, "close", conversation.admin)
        case.closed_at.append(now)
        case.last_close_seconds = now - conversation.created_at
        if case.first_close_seconds is None:
            case.first_close_seconds = case.last_close_seconds
            if self.rng.random() < 0.34:
                wait = 120 + round(self.rng.expovariate(1 / (4 * HOUR)))
                self.timeline.at(now + wait, self._rate, conversation, now)
        if self.rng.random() < 0.07:
            self.timeline.at(now + round(self.rng.expovariate(1 / (2 * DAY))) + HOUR, self._reopen, conversation)

    def _rate(self, conversation: Conversation, asked_at: int) -> None:
        """Satisfaction falls with the hours until the first answer, and with every return."""
        case = self.cases[conversation.id]
        hours = (case.first_response_seconds or 0) / HOUR
        mood = 4.9 - min(2.6, 0.16 * hours) - 0.8 * conversation.reopens + self.rng.gauss(0, 0.7)
        rating = max(1, min(5, round(mood)))
        conversation.rating = (rating, _REMARKS[rating] if self.rng.random() < 0.5 else "", asked_at)
        conversation.updated_at = self.timeline.now
        case.rating = rating

    def _reopen(self, conversation: Conversation) -> None:
        if conversation.state != "closed":
            return
        conversation.state = "open"
        conversation.reopens += 1
        self.cases[conversation.id].reopens += 1
        self.cases[conversation.id].reopened_at.append(self.timeline.now)
        self._say(conversation)
        self.timeline.at(self._at_work(45 * MINUTE, 0.9), self._answer, conversation, 1)

    def _add(
        self,
        conversation: Conversation,
        kind: str,
        by: Admin | User | None,
        body: str | None = None,
        *,
        assigned_to: Admin | None = None,
    ) -> None:
        now = self.timeline.now
        number = self.ids.number("conversation-part", 520_001)
        conversation.parts.append(Part(number, kind, now, by, conversation.state, body, assigned_to))
        conversation.updated_at = now


def _open(moment: int) -> int:
    """The next moment at which somebody works, this one included."""
    hour = moment % DAY // HOUR
    if hour >= CLOSES:
        moment = moment - moment % DAY + DAY + OPENS * HOUR
    elif hour < OPENS:
        moment = moment - moment % DAY + OPENS * HOUR
    while utc(moment).weekday() >= 5:
        moment = moment - moment % DAY + DAY + OPENS * HOUR
    return moment
