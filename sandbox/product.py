"""The product database's contents: workspaces, their users, and what the users do."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox import names
from sandbox.billing.models import Customer, Subscription
from sandbox.ids import Ids
from sandbox.timeline import DAY, HOUR, Timeline, utc

#: Seconds between two events of users at scale 1: in the long past, and since this many days before the world opened.
PAST_GAP, RECENT_GAP, RECENT_DAYS = 3 * HOUR, 300, 14
MAX_USERS = 15
_EVENTS = {
    "dashboard.viewed": 30,
    "task.completed": 26,
    "search.performed": 16,
    "project.created": 9,
    "comment.added": 9,
    "report.exported": 5,
    "member.invited": 3,
    "integration.connected": 2,
}


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
    #: Where the user stands in the list of active users; -1 when not in it.
    place: int = -1


@dataclass(slots=True)
class Changes:
    """Rows that are new or different since they were last taken, as tuples in the order of the tables' columns."""

    workspaces: list[tuple[Any, ...]]
    users: list[tuple[Any, ...]]
    events: list[tuple[Any, ...]]


class Product:
    """Follows the customers of the billing system and lets their users work."""

    def __init__(self, timeline: Timeline, ids: Ids, rng: random.Random, *, scale: float, opened_at: int) -> None:
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
        self._events: list[tuple[Any, ...]] = []
        timeline.at(timeline.now + DAY, self._next_event)

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

    def _next_event(self) -> None:
        now = self.timeline.now
        gap = RECENT_GAP if now >= self._busy_from else PAST_GAP
        self.timeline.at(now + max(1, round(self.rng.expovariate(self.scale / gap))), self._next_event)
        if not self._active:
            return
        user = self.rng.choice(self._active)
        name = self.rng.choices(list(_EVENTS), list(_EVENTS.values()))[0]
        properties = {"project": self.rng.randint(1, 40), "duration_ms": self.rng.randint(20, 4000)}
        if self.rng.random() < 0.1:
            properties["note"] = "Größe geändert – «ok»"  # type: ignore[assignment]
        self._events.append(
            (self.ids.number("product-event"), user.id, user.workspace.id, name, _json(properties), utc(now))
        )
        user.last_seen_at = user.updated_at = now
        self._changed_users[user.id] = user

    # -- for the database ------------------------------------------------------------------------------------------

    def take(self) -> Changes:
        """What is new or different since the last call."""
        changes = Changes(
            [_workspace_row(workspace) for workspace in self._changed_workspaces.values()],
            [_user_row(user) for user in self._changed_users.values()],
            self._events,
        )
        self._changed_workspaces, self._changed_users, self._events = {}, {}, []
        return changes

    def give_back(self, changes: Changes) -> None:
        """What was taken could not be written: offer it again, unless it changed since."""
        ours = {workspace.id: key for key, workspace in self.workspaces.items()}
        for row in changes.workspaces:
            self._changed_workspaces.setdefault(ours[row[0]], self.workspaces[ours[row[0]]])
        for row in changes.users:
            self._changed_users.setdefault(row[0], self.users[row[0]])
        self._events = changes.events + self._events


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
