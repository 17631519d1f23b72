"""What Slack offers: each stream's columns, and what is left out of `_extra`.

`ts` is the text that Slack gives a message; it is unique in its channel and sorts by time. A number would round it.
"""

from __future__ import annotations

from sources.connectors.base import Column, StreamSpec, SyncMode
from sources.connectors.shape import EXTRA

C = Column
FULL = (SyncMode.FULL_REFRESH,)
CHANNEL = C("channel_id")
_TEXT = (C("text"), C("text_length", "bigint"))
_AUTHOR = (C("user_id", "text", "user"), C("bot_id"), C("type"), C("subtype"))
_COUNTS = (
    C("reaction_count", "bigint"),
    C("file_count", "bigint"),
    C("edited_ts", "text", "edited.ts"),
    C("team_id", "text", "team"),
)

STREAMS: tuple[StreamSpec, ...] = (
    StreamSpec(
        name="channels",
        label="Channels",
        description="One row per channel; is_member says whether the app is in it and can read it.",
        primary_key=("id",),
        sync_modes=FULL,
        columns=(
            *(C("id"), C("name"), C("created", "timestamp"), C("creator_id", "text", "creator")),
            *(C(name, "bool") for name in ("is_member", "is_private", "is_archived", "is_general", "is_shared")),
            *(C("num_members", "bigint"), C("topic", "text", "topic.value"), C("purpose", "text", "purpose.value")),
            C("previous_names", "json"),
            EXTRA,
        ),
        permission="channels:read",
    ),
    StreamSpec(
        name="users",
        label="Users",
        description="One row per person or bot, also those who left (is_deleted).",
        primary_key=("id",),
        sync_modes=FULL,
        columns=(
            *(C("id"), C("team_id"), C("name"), C("real_name", "text", "real_name|profile.real_name")),
            *(C("display_name", "text", "profile.display_name"), C("email", "text", "profile.email")),
            *(C("title", "text", "profile.title"), C("tz"), C("tz_offset", "bigint")),
            *(C(name, "bool") for name in ("is_bot", "is_app_user", "is_admin", "is_owner")),
            *(C("is_restricted", "bool"), C("is_deleted", "bool", "deleted"), C("updated", "timestamp")),
            EXTRA,
        ),
        permission="users:read",
    ),
    StreamSpec(
        name="messages",
        label="Messages",
        description="One row per message of a channel. Answers in its thread are in “replies”; one that was also sent "
        "to the channel (subtype thread_broadcast) is in both.",
        primary_key=("channel_id", "ts"),
        cursor_fields=("ts",),
        grows_by="sent_at",
        columns=(
            *(CHANNEL, C("ts"), C("sent_at", "timestamp"), C("day", "date")),
            *(*_AUTHOR, *_TEXT, *_COUNTS),
            *(C("thread_ts"), C("reply_count", "bigint"), C("reply_users_count", "bigint"), C("latest_reply_ts", "text", "latest_reply")),
            EXTRA,
        ),
        permission="channels:history",
        # A day is always read whole: a message that did not come again was deleted.
        owner_key=("channel_id", "day"),
    ),
    StreamSpec(
        name="replies",
        label="Thread replies",
        description="One row per reply in a thread; thread_ts is the message it answers.",
        primary_key=("channel_id", "ts"),
        cursor_fields=("ts",),
        grows_by="sent_at",
        columns=(
            *(CHANNEL, C("ts"), C("thread_ts"), C("sent_at", "timestamp")),
            *(*_AUTHOR, *_TEXT, *_COUNTS),
            EXTRA,
        ),
        permission="channels:history",
        comes_with="messages",
        owner_key=("channel_id", "thread_ts"),
    ),
    StreamSpec(
        name="reactions",
        label="Reactions",
        description="One row per message (or reply) and emoji. count is always right; Slack names only some of the "
        "people when there are many, so user_ids may be shorter (has_all_users).",
        primary_key=("channel_id", "message_ts", "name"),
        cursor_fields=("message_ts",),
        grows_by="sent_at",
        columns=(
            *(CHANNEL, C("message_ts"), C("thread_ts"), C("name"), C("count", "bigint"), C("user_ids", "json", "users")),
            *(C("has_all_users", "bool"), C("sent_at", "timestamp"), C("found_in")),
            EXTRA,
        ),
        permission="channels:history",
        comes_with="messages",
        # Where it was read: a day of the channel or a thread. Both are always read whole.
        owner_key=("channel_id", "found_in"),
    ),
)  # fmt: skip
SPECS = {spec.name: spec for spec in STREAMS}

# Repeats of what has a column, or of what another stream has.
OMIT = {
    "channels": ("name_normalized",),
    "users": ("profile.real_name_normalized", "profile.display_name_normalized", "profile.team"),
    "messages": ("reactions", "user_profile", "user_team", "source_team", "client_msg_id"),
    "replies": ("reactions", "user_profile", "user_team", "source_team", "client_msg_id", "parent_user_id"),
    "reactions": (),
}
# What people wrote; kept only when somebody asked for it. `blocks` repeats `text` in another form.
WRITTEN = ("text", "blocks", "attachments", "files", "file", "root", "topic", "purpose", "comment")
