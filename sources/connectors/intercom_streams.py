"""What Intercom offers: each stream's columns, where its objects are, and which permission they need."""

from __future__ import annotations

from dataclasses import dataclass

from sources.connectors.base import Column, StreamSpec, SyncMode
from sources.connectors.shape import EXTRA

C = Column
FULL = (SyncMode.FULL_REFRESH,)
PARTS = "conversation_parts"


def _times(*names: str, within: str = "") -> tuple[Column, ...]:
    return tuple(C(name, "timestamp", f"{within}{name}") for name in names)


def _numbers(*names: str, within: str = "") -> tuple[Column, ...]:
    return tuple(C(name, "bigint", f"{within}{name}") for name in names)


ID = C("id")
CUSTOM = C("custom_attributes", "json")

STREAMS: tuple[StreamSpec, ...] = (
    StreamSpec(
        name="contacts",
        label="Contacts",
        description="One row per user or lead. Intercom tells nobody who was deleted or merged: they go when all "
        "contacts are read again, as often as the settings say.",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            *(ID, C("external_id"), C("role"), C("email"), C("phone"), C("name"), C("owner_id")),
            *_times("created_at", "updated_at", "signed_up_at", "last_seen_at", "last_replied_at"),
            *_times("last_contacted_at", "last_email_opened_at", "last_email_clicked_at"),
            *(C(name, "bool") for name in ("has_hard_bounced", "marked_email_as_spam", "unsubscribed_from_emails")),
            *(C("country", "text", "location.country"), C("city", "text", "location.city")),
            *(C("language_override"), C("browser"), C("os")),
            # Intercom sends the first ten of each with their number.
            *(C("company_ids", "json"), C("company_count", "bigint", "companies.total_count")),
            *(C("tag_ids", "json"), C("tag_count", "bigint", "tags.total_count")),
            *(CUSTOM, EXTRA),
        ),
        permission="Read and list users and companies",
    ),
    StreamSpec(
        name="companies",
        label="Companies",
        description="One row per company that has at least one contact.",
        primary_key=("id",),
        sync_modes=FULL,
        columns=(
            *(ID, C("company_id"), C("name"), C("plan", "text", "plan.name"), C("industry"), C("website")),
            *_times("remote_created_at", "created_at", "updated_at", "last_request_at"),
            *_numbers("size", "user_count", "session_count"),
            *(C("monthly_spend", "double"), C("tag_ids", "json"), C("segment_ids", "json"), CUSTOM, EXTRA),
        ),
        permission="Read and list users and companies",
    ),
    StreamSpec(
        name="conversations",
        label="Conversations",
        description="One row per conversation as it is now: what it began with, its state, who has it, how it was "
        "rated, and Intercom's own response times in seconds. A conversation that was deleted keeps its row.",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            *(ID, C("title"), *_times("created_at", "updated_at", "waiting_since", "snoozed_until")),
            *(C("state"), C("open", "bool"), C("read", "bool"), C("priority")),
            *(C("admin_assignee_id"), C("team_assignee_id")),
            *(C("contact_id", "text", "contacts.contacts.0.id"), C("contact_ids", "json")),
            *(C("source_type", "text", "source.type"), C("source_delivered_as", "text", "source.delivered_as")),
            *(C("source_author_type", "text", "source.author.type"), C("source_author_id", "text", "source.author.id")),
            *(C("source_subject", "text", "source.subject"), C("source_body", "text", "source.body")),
            C("tags", "json"),
            C("rating", "bigint", "conversation_rating.rating"),
            C("rating_remark", "text", "conversation_rating.remark"),
            C("rating_requested_at", "timestamp", "conversation_rating.created_at"),
            C("rated_admin_id", "text", "conversation_rating.teammate.id"),
            *_numbers(
                *("time_to_assignment", "time_to_admin_reply", "time_to_first_close", "time_to_last_close"),
                *("median_time_to_reply", "count_reopens", "count_assignments"),
                within="statistics.",
            ),
            *_times(
                *("first_contact_reply_at", "first_assignment_at", "first_admin_reply_at", "first_close_at"),
                *("last_contact_reply_at", "last_admin_reply_at", "last_close_at"),
                within="statistics.",
            ),
            C("part_count", "bigint", "conversation_parts.total_count|statistics.count_conversation_parts"),
            C("has_all_parts", "bool"),
            *(C("ai_agent_participated", "bool"), C("is_deleted", "bool"), CUSTOM, EXTRA),
        ),
        permission="Read conversations",
    ),
    StreamSpec(
        name=PARTS,
        label="Conversation parts",
        description="One row per reply, note, assignment, close, snooze and so on; the first message is in the "
        "conversation itself. Intercom hands out the newest 500 of a conversation: where there are more, "
        "conversations.has_all_parts is false and older parts stay as they were read.",
        primary_key=("conversation_id", "id"),
        cursor_fields=("updated_at",),
        columns=(
            *(C("conversation_id"), ID, C("part_type"), C("body"), C("state")),
            *_times("created_at", "updated_at", "notified_at"),
            *(C("author_type", "text", "author.type"), C("author_id", "text", "author.id")),
            *(C("assigned_to_type", "text", "assigned_to.type"), C("assigned_to_id", "text", "assigned_to.id")),
            *(C("redacted", "bool"), C("external_id"), EXTRA),
        ),
        permission="Read conversations",
        comes_with="conversations",
    ),
    StreamSpec(
        name="tags",
        label="Tags",
        description="One row per tag.",
        primary_key=("id",),
        sync_modes=FULL,
        columns=(ID, C("name"), EXTRA),
        permission="Read tags",
    ),
    StreamSpec(
        name="teams",
        label="Teams",
        description="One row per team of colleagues.",
        primary_key=("id",),
        sync_modes=FULL,
        columns=(ID, C("name"), C("admin_ids", "json"), C("distribution_method"), EXTRA),
        permission="Read admins",
    ),
    StreamSpec(
        name="admins",
        label="Admins",
        description="One row per colleague who answers customers.",
        primary_key=("id",),
        sync_modes=FULL,
        columns=(
            *(ID, C("name"), C("email"), C("job_title"), C("team_ids", "json")),
            *(C(name, "bool") for name in ("has_inbox_seat", "away_mode_enabled", "away_mode_reassign")),
            EXTRA,
        ),
        permission="Read admins",
    ),
)
SPECS = {spec.name: spec for spec in STREAMS}

_LINKS = ("type", "workspace_id", "app_id")
OMIT: dict[str, tuple[str, ...]] = {
    "contacts": (*_LINKS, "companies", "tags", "notes", "social_profiles", "avatar", "location.type"),
    "companies": (*_LINKS, "tags", "segments", "plan.type"),
    "conversations": (*_LINKS, "contacts", "conversation_parts", "statistics.type", "conversation_rating.contact"),
    PARTS: ("type", "author.email", "author.name"),
    "tags": ("type",),
    "teams": ("type",),
    "admins": ("type", "avatar", "team_priority_level"),
}


@dataclass(frozen=True)
class Place:
    """Where objects are: the path, and under which key of the answer."""

    path: str
    inside: str


# Asked with POST, page by page.
SEARCHES = {
    "contacts": Place("contacts/search", "data"),
    "conversations": Place("conversations/search", "conversations"),
}
# All in one answer to GET.
WHOLE = {
    "tags": Place("tags", "data"),
    "teams": Place("teams", "teams"),
    "admins": Place("admins", "admins"),
}
