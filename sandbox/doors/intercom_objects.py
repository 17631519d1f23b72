"""The support desk as Intercom writes it: API version 2.14."""

from __future__ import annotations

import hashlib
from statistics import median
from typing import Any

from sandbox.product import User, Workspace
from sandbox.support import TOPICS, Admin, Conversation, Part, Support

APP = "tdwtr001"
TEAM_ID = 5_310_001
#: Intercom hands out no more parts of a conversation than these, the newest.
MOST_PARTS = 500
_SYSTEM = {"type": "bot", "id": "278", "name": "Operator", "email": "operator+tdwtr001@intercom.example"}


class IntercomWriter:
    """Draws records; ids are the same for the same seed."""

    def __init__(self, support: Support, seed: int) -> None:
        self.support = support
        self.seed = seed
        self._tags = {topic: str(8_800_001 + number) for number, topic in enumerate(TOPICS)}

    def contact_id(self, user: User) -> str:
        return self._hex("contact", user.id)

    def company_id(self, workspace: Workspace) -> str:
        return self._hex("company", workspace.id)

    def _hex(self, kind: str, number: Any) -> str:
        return hashlib.blake2b(f"{self.seed}:{kind}:{number}".encode(), digest_size=12).hexdigest()

    def updated_at(self, user: User) -> int:
        """When a contact last changed."""
        support = self.support
        return max(user.updated_at, support.contacted.get(user.id, 0), support.replied.get(user.id, 0))

    def contact(self, user: User) -> dict[str, Any]:
        id_ = self.contact_id(user)
        company_id = self.company_id(user.workspace)
        company = {"type": "company", "id": company_id, "url": f"/companies/{company_id}"}
        return {
            "type": "contact",
            "id": id_,
            "workspace_id": APP,
            "external_id": str(user.id),
            "role": "user",
            "email": user.email,
            "phone": None,
            "name": user.name,
            "avatar": None,
            "owner_id": None,
            "social_profiles": {"type": "list", "data": []},
            **dict.fromkeys(("has_hard_bounced", "marked_email_as_spam", "unsubscribed_from_emails"), False),
            "created_at": user.created_at,
            "updated_at": self.updated_at(user),
            "signed_up_at": user.created_at,
            "last_seen_at": user.last_seen_at,
            "last_replied_at": self.support.replied.get(user.id),
            "last_contacted_at": self.support.contacted.get(user.id),
            **dict.fromkeys(("last_email_opened_at", "last_email_clicked_at", "language_override"), None),
            **dict.fromkeys(("browser", "browser_version", "browser_language", "os"), None),
            "location": {"type": "location", "country": None, "region": None, "city": None},
            "custom_attributes": {"role_in_workspace": user.role},
            "tags": _addressable([], f"/contacts/{id_}/tags"),
            "notes": _addressable([], f"/contacts/{id_}/notes"),
            "companies": _addressable([company], f"/contacts/{id_}/companies"),
        }

    def company(self, workspace: Workspace) -> dict[str, Any]:
        return {
            "type": "company",
            "id": self.company_id(workspace),
            "company_id": workspace.id,
            "app_id": APP,
            "name": workspace.name,
            "remote_created_at": workspace.created_at,
            "created_at": workspace.created_at,
            "updated_at": workspace.updated_at,
            "monthly_spend": 0,
            "session_count": 0,
            "user_count": sum(user.deleted_at is None for user in workspace.users),
            "size": workspace.seats,
            "tags": {"type": "tag.list", "tags": []},
            "segments": {"type": "segment.list", "segments": []},
            "plan": {"type": "plan", "id": workspace.plan, "name": workspace.plan},
            "custom_attributes": {"stripe_customer_id": workspace.stripe_customer_id},
        }

    def admin(self, admin: Admin) -> dict[str, Any]:
        return {
            "type": "admin",
            "id": str(admin.id),
            "name": admin.member.name,
            "email": admin.member.email,
            "job_title": "Head of Support" if admin is self.support.admins[0] else "Support Engineer",
            "away_mode_enabled": False,
            "away_mode_reassign": False,
            "has_inbox_seat": True,
            "team_ids": [TEAM_ID],
        }

    def me(self, created_at: int) -> dict[str, Any]:
        admin = self.support.admins[0]
        app = {
            "type": "app",
            "id_code": APP,
            "name": "Tidewater",
            "created_at": created_at,
            "secure": True,
            "identity_verification": True,
            "timezone": "Etc/UTC",
            "region": "US",
        }
        return {
            "type": "admin",
            "id": str(admin.id),
            "email": admin.member.email,
            "name": admin.member.name,
            "email_verified": True,
            "app": app,
            "has_inbox_seat": True,
        }

    def team(self) -> dict[str, Any]:
        ids = [admin.id for admin in self.support.admins]
        return {"type": "team", "id": str(TEAM_ID), "name": "Customer support", "admin_ids": ids}

    def tags(self) -> list[dict[str, Any]]:
        return [{"type": "tag", "id": id_, "name": topic} for topic, id_ in self._tags.items()]

    def conversation(self, conversation: Conversation) -> dict[str, Any]:
        """As a search lists it: without parts."""
        tag = {
            "type": "tag",
            "id": self._tags[conversation.topic],
            "name": conversation.topic,
            "applied_at": conversation.created_at,
            "applied_by": {"type": "admin", "id": str(self.support.admins[0].id)},
        }
        contact = {
            "type": "contact",
            "id": self.contact_id(conversation.user),
            "external_id": str(conversation.user.id),
        }
        handled = conversation.admin is not None
        return {
            "type": "conversation",
            "id": str(conversation.id),
            "title": None,
            "created_at": conversation.created_at,
            "updated_at": conversation.updated_at,
            "waiting_since": conversation.waiting_since,
            "snoozed_until": conversation.snoozed_until,
            "open": conversation.state != "closed",
            "state": conversation.state,
            "read": handled,
            "priority": "priority" if conversation.is_priority else "not_priority",
            "admin_assignee_id": conversation.admin.id if conversation.admin else None,
            "team_assignee_id": TEAM_ID,
            "tags": {"type": "tag.list", "tags": [tag] if handled else []},
            "source": {
                "type": "conversation",
                "id": str(40_000_000 + conversation.id),
                "delivered_as": "customer_initiated",
                "subject": "",
                "body": f"<p>{conversation.body}</p>",
                "author": self._author(conversation.user),
                "attachments": [],
                "url": "https://app.tidewater.example/projects",
                "redacted": False,
            },
            "contacts": {"type": "contact.list", "contacts": [contact]},
            "teammates": {
                "type": "admin.list",
                "teammates": [{"type": "admin", "id": str(conversation.admin.id)}] if conversation.admin else [],
            },
            "first_contact_reply": {
                "created_at": conversation.created_at,
                "type": "conversation",
                "url": "https://app.tidewater.example/projects",
            },
            "sla_applied": None,
            "custom_attributes": {},
            "statistics": _statistics(conversation),
            "conversation_rating": self._rating(conversation, contact),
            "ai_agent": None,
            "ai_agent_participated": False,
            "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": False},
        }

    def whole_conversation(self, conversation: Conversation) -> dict[str, Any]:
        parts = conversation.parts[-MOST_PARTS:]
        inside = {
            "type": "conversation_part.list",
            "conversation_parts": [self._part(part) for part in parts],
            "total_count": len(conversation.parts),
        }
        return {**self.conversation(conversation), "conversation_parts": inside}

    def _part(self, part: Part) -> dict[str, Any]:
        to = part.assigned_to
        return {
            "type": "conversation_part",
            "id": str(part.id),
            "part_type": part.kind,
            "body": f"<p>{part.body}</p>" if part.body else None,
            "created_at": part.created_at,
            "updated_at": part.created_at,
            "notified_at": part.created_at,
            "assigned_to": {"type": "admin", "id": str(to.id)} if to else None,
            "author": self._author(part.by),
            "attachments": [],
            "external_id": None,
            "redacted": False,
            "state": part.state,
            "tags": [],
        }

    def _author(self, who: Admin | User | None) -> dict[str, Any]:
        if who is None:
            return _SYSTEM
        if isinstance(who, Admin):
            return {"type": "admin", "id": str(who.id), "name": who.member.name, "email": who.member.email}
        return {"type": "user", "id": self.contact_id(who), "name": who.name, "email": who.email}

    def _rating(self, conversation: Conversation, contact: dict[str, Any]) -> dict[str, Any] | None:
        if conversation.rating is None or conversation.admin is None:
            return None
        rating, remark, asked_at = conversation.rating
        return {
            "rating": rating,
            "remark": remark,
            "created_at": asked_at,
            "updated_at": conversation.updated_at,
            "contact": contact,
            "teammate": {"type": "admin", "id": str(conversation.admin.id)},
        }


def _statistics(conversation: Conversation) -> dict[str, Any]:
    """Times from the first word, worked out from the parts as Intercom does it for a desk without office hours."""
    began, parts = conversation.created_at, conversation.parts
    answers = [part.created_at for part in parts if part.kind == "comment" and isinstance(part.by, Admin)]
    written = [part.created_at for part in parts if part.kind == "comment" and isinstance(part.by, User)]
    closes = [part for part in parts if part.kind == "close"]
    assignments = [part.created_at for part in parts if part.kind == "assignment"]
    waits, waiting = [], began
    for part in parts:
        if part.kind == "comment" and isinstance(part.by, User):
            waiting = waiting or part.created_at
        elif part.kind == "comment" and isinstance(part.by, Admin) and waiting:
            waits.append(part.created_at - waiting)
            waiting = 0
    return {
        "type": "conversation_statistics",
        "first_contact_reply_at": began,
        "last_contact_reply_at": max([began, *written]),
        "count_reopens": conversation.reopens,
        "count_assignments": len(assignments),
        "count_conversation_parts": len(parts),
        **_first_and_last("assignment", began, assignments),
        **({"first_admin_reply_at": answers[0], "time_to_admin_reply": answers[0] - began} if answers else {}),
        **({"last_admin_reply_at": answers[-1], "median_time_to_reply": round(median(waits))} if answers else {}),
        **_first_and_last("close", began, [part.created_at for part in closes]),
        **({"time_to_first_close": closes[0].created_at - began} if closes else {}),
        **({"time_to_last_close": closes[-1].created_at - began} if closes else {}),
        **({"last_closed_by_id": str(closes[-1].by.id)} if closes and isinstance(closes[-1].by, Admin) else {}),
    }


def _first_and_last(what: str, began: int, moments: list[int]) -> dict[str, int]:
    if not moments:
        return {}
    found = {f"first_{what}_at": moments[0], f"last_{what}_at": moments[-1]}
    return {**found, "time_to_assignment": moments[0] - began} if what == "assignment" else found


def _addressable(data: list[dict[str, Any]], url: str) -> dict[str, Any]:
    return {"type": "list", "data": data, "url": url, "total_count": len(data), "has_more": False}
