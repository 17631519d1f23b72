"""The product: workspaces, their users, the features they adopt, and what the users do day by day."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox import names
from sandbox.billing.models import Customer, Subscription
from sandbox.features import FEATURES, leaving
from sandbox.ids import Ids
from sandbox.timeline import DAY, Timeline, utc
from sandbox.uses import EventRows, UseLog

#: Seconds between two uses of the product at scale 1, on a working day: in the long past, and since this many days
#: before the world opened.
PAST_GAP, RECENT_GAP, RECENT_DAYS = 1200, 150, 21
MAX_USERS = 15
#: So many of the users come back day after day; the others look in now and then, this much more rarely.
_REGULARS, _RARELY = 0.3, 0.12
#: On a weekend the product is used this much less.
_WEEKEND = 0.3


@dataclass(slots=True)
class Workspace:
    """``mrr_note`` is what sales typed in once, in dollars: not a number to trust, as such columns are."""

    id: str
    name: str
    plan: str
    stripe_customer_id: str
    seats: int
    mrr_note: Decimal | None
    settings: dict[str, Any]
    created_at: int
    updated_at: int
    users: list[User]
    #: When each feature was first used here.
    adopted: dict[str, int] = field(default_factory=dict)
    #: Places in ``FEATURES`` of what was adopted, and the sums of their weights.
    features: list[int] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)


@dataclass(slots=True)
class User:
    id: int
    workspace: Workspace
    email: str
    name: str
    role: str
    created_at: int
    updated_at: int
    last_seen_at: int | None = None
    deleted_at: int | None = None
    is_regular: bool = False
    #: Where the user stands in the list of active users; -1 when not in it.
    place: int = -1


@dataclass(slots=True)
class Changes:
    """Rows that are new or different since they were last taken, as tuples in the order of the tables' columns."""

    workspaces: list[tuple[Any, ...]]
    users: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]] | EventRows


class Product:
    """Follows the customers of the billing system and lets their users work.

    What the users do is one log; the product database and Mixpanel show it each in its own way.
    """

    def __init__(
        self, timeline: Timeline, ids: Ids, rng: random.Random, *, seed: int, scale: float, opened_at: int
    ) -> None:
        self.timeline = timeline
        self.ids = ids
        self.rng = rng
        self.scale = scale
        self._busy_from = opened_at - RECENT_DAYS * DAY
        self.workspaces: dict[str, Workspace] = {}
        self.users: dict[int, User] = {}
        self._active: list[User] = []
        self._changed_workspaces: dict[str, Workspace] = {}
        self._changed_users: dict[int, User] = {}
        self.uses = UseLog(seed)
        self._uses_taken = 0
        timeline.at(timeline.now + DAY, self._next_use)

    # -- following the customers -----------------------------------------------------------------------------------

    def sign_up(self, customer: Customer, seats: int, plan: str) -> None:
        """A company begins to use the product."""
        now = self.timeline.now
        note = Decimal(self.rng.randint(1_000, 400_000)).scaleb(-2) if self.rng.random() < 0.3 else None
        settings = {"locale": self.rng.choice(("en", "en", "de", "fr")), "beta": self.rng.random() < 0.2}
        workspace = Workspace(
            self.ids.uuid("workspace"), customer.name, plan, customer.id, seats, note, settings, now, now, []
        )
        self.workspaces[customer.id] = workspace
        self._changed_workspaces[customer.id] = workspace
        self._join(workspace, "owner", customer.email)
        for _ in range(min(seats, MAX_USERS) - 1):
            self.timeline.at(now + round(self.rng.expovariate(1 / (6 * DAY))), self._join, workspace, "member", None)
        for place, feature in enumerate(FEATURES):
            if self.rng.random() < feature.share:
                after = round(self.rng.expovariate(1 / (feature.after_days * DAY)))
                self.timeline.at(now + max(60, after), self._adopt, workspace, place)

    def leaving(self, customer: Customer) -> float:
        """How likely this customer is to leave, in relation to the average."""
        workspace = self.workspaces.get(customer.id)
        return leaving(workspace.adopted) if workspace is not None else 1.0

    def follow(self, subscription: Subscription) -> None:
        """Take over plan and seats from a subscription that changed."""
        workspace = self.workspaces.get(subscription.customer.id)
        if workspace is None or subscription.items[0].price.product.name == "Premium support":
            return
        item = subscription.items[0]
        plan = {"canceled": "canceled", "trialing": "trial", "paused": "paused"}.get(
            subscription.status, item.price.product.name.lower()
        )
        if (workspace.plan, workspace.seats) == (plan, item.quantity):
            return
        workspace.plan, workspace.seats = plan, item.quantity
        workspace.updated_at = self.timeline.now
        self._changed_workspaces[subscription.customer.id] = workspace
        if plan == "canceled":
            for user in workspace.users:
                self._rest(user)
                if user.role != "owner":
                    self.timeline.at(self.timeline.now + 7 * DAY, self._delete, user)
        else:
            for user in workspace.users:
                self._wake(user)

    def _join(self, workspace: Workspace, role: str, email: str | None) -> None:
        now = self.timeline.now
        name = names.person(self.rng)
        number = self.ids.number("user", 1001)
        domain = f"{workspace.name.lower().replace(' ', '-')}.example"
        user = User(
            number, workspace, email or f"{names.local_part(name)}.{number}@{domain}", name, role, now, now, now
        )
        user.is_regular = self.rng.random() < _REGULARS
        workspace.users.append(user)
        self.users[number] = user
        self._changed_users[number] = user
        if workspace.plan != "canceled":
            self._wake(user)

    def _wake(self, user: User) -> None:
        if user.place < 0 and user.deleted_at is None:
            user.place = len(self._active)
            self._active.append(user)

    def _rest(self, user: User) -> None:
        if user.place >= 0:
            last = self._active.pop()
            if last is not user:
                self._active[user.place] = last
                last.place = user.place
            user.place = -1

    def _delete(self, user: User) -> None:
        if user.deleted_at is None and user.workspace.plan == "canceled":
            user.deleted_at = user.updated_at = self.timeline.now
            self._changed_users[user.id] = user

    # -- work ------------------------------------------------------------------------------------------------------

    def _adopt(self, workspace: Workspace, place: int) -> None:
        """A workspace uses a feature for the first time; from now on it is part of its work."""
        users = [user for user in workspace.users if user.place >= 0]
        if not users:
            return
        feature = FEATURES[place]
        workspace.adopted[feature.name] = self.timeline.now
        workspace.features.append(place)
        workspace.weights.append(feature.weight + (workspace.weights[-1] if workspace.weights else 0))
        self._use(self.rng.choice(users), place)

    def _next_use(self) -> None:
        now = self.timeline.now
        gap = RECENT_GAP if now >= self._busy_from else PAST_GAP
        if (now // DAY + 3) % 7 >= 5:  # day 0 was a Thursday
            gap = round(gap / _WEEKEND)
        self.timeline.at(now + max(1, round(self.rng.expovariate(self.scale / gap))), self._next_use)
        if not self._active:
            return
        user = self.rng.choice(self._active)
        while not user.is_regular and self.rng.random() > _RARELY:
            user = self.rng.choice(self._active)
        workspace = user.workspace
        if workspace.features:
            self._use(user, self.rng.choices(workspace.features, cum_weights=workspace.weights)[0])

    def _use(self, user: User, place: int) -> None:
        now = self.timeline.now
        self.uses.add(now, user.id, place)
        user.last_seen_at = user.updated_at = now
        self._changed_users[user.id] = user

    # -- for the database ------------------------------------------------------------------------------------------

    def take(self) -> Changes:
        """What is new or different since the last call."""
        changes = Changes(
            [_workspace_row(workspace) for workspace in self._changed_workspaces.values()],
            [_user_row(user) for user in self._changed_users.values()],
            EventRows(self.uses, self.users, self._uses_taken, len(self.uses)),
        )
        self._changed_workspaces, self._changed_users, self._uses_taken = {}, {}, len(self.uses)
        return changes

    def give_back(self, changes: Changes) -> None:
        """What was taken could not be written: offer it again, unless it changed since."""
        ours = {workspace.id: key for key, workspace in self.workspaces.items()}
        for row in changes.workspaces:
            self._changed_workspaces.setdefault(ours[row[0]], self.workspaces[ours[row[0]]])
        for row in changes.users:
            self._changed_users.setdefault(row[0], self.users[row[0]])
        self._uses_taken -= len(changes.events)


def _workspace_row(record: Workspace) -> tuple[Any, ...]:
    return (
        record.id,
        record.name,
        record.plan,
        record.stripe_customer_id,
        record.seats,
        record.mrr_note,
        _json(record.settings),
        utc(record.created_at),
        utc(record.updated_at),
    )


def _user_row(record: User) -> tuple[Any, ...]:
    return (
        record.id,
        record.workspace.id,
        record.email,
        record.name,
        record.role,
        utc(record.created_at),
        utc(record.updated_at),
        _utc(record.last_seen_at),
        _utc(record.deleted_at),
    )


def _utc(moment: int | None) -> dt.datetime | None:
    return utc(moment) if moment is not None else None


def _json(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)
