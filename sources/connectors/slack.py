"""Slack over its Web API: who is there, which channels, what is written in them and how people answer.

Messages, replies and reactions come from one walk over the channels (`slack_reader`). What people wrote is kept only
when somebody asks for it; without that, its length is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from portal.failures import PortalError, TerminalError
from portal.redact import secrets_hidden
from sources.connectors.base import FieldKind, FormField, Page, RateLimit, StreamRequest, StreamSpec
from sources.connectors.shape import Shape
from sources.connectors.slack_api import CHANNEL, SlackApi
from sources.connectors.slack_reader import Reader, back_to, many
from sources.connectors.slack_streams import OMIT, SPECS, STREAMS

DEFAULT_URL = "https://slack.com/api"
DAYS_BACK = 7
CALLS_PER_MINUTE = 50  # tier 3, of an app that a company made for itself
CHECK_TRIES = 2


class SlackConnector:
    name = "slack"
    label = "Slack"
    summary = "Channels, people, messages, threads and reactions of a workspace."
    fields = (
        FormField(
            "token",
            "Bot token",
            "It begins with xoxb-. It is stored encrypted and never shown again.",
            FieldKind.SECRET,
            placeholder="xoxb-…",
        ),
        FormField(
            "channels",
            "Channels",
            "One a line, by name or ID. Empty: every channel. A channel that cannot be read does not stop the others, "
            "but the sync says that it is missing until the app is invited there.",
            FieldKind.LIST,
            required=False,
            placeholder="general",
        ),
        FormField(
            "joined_only",
            "Only channels the app was invited to",
            "Tick this to leave out, without a word, every channel that the app is not in. One that was read before "
            "and no longer can be is still reported.",
            FieldKind.BOOLEAN,
            required=False,
            default=False,
        ),
        FormField(
            "private_channels",
            "Also private channels",
            "Those the app was invited to. Needs the permissions groups:read and groups:history.",
            FieldKind.BOOLEAN,
            required=False,
            default=False,
        ),
        FormField(
            "days_back",
            "Days to look back",
            "Every sync reads the last so many days again, and every thread with a reply in them, so that edits, "
            "deletions, reactions and late replies are noticed. What changes later than that is not. Each of those "
            "threads costs one call in every sync.",
            FieldKind.INTEGER,
            required=False,
            default=DAYS_BACK,
        ),
        FormField(
            "keep_text",
            "Keep what people wrote",
            "Leave this off to keep only the length of each message. On: text, attachments and file names are stored, "
            "and everybody who may read the warehouse can read them.",
            FieldKind.BOOLEAN,
            required=False,
            default=False,
        ),
        FormField(
            "calls_per_minute",
            "Calls a minute",
            "How often Slack lets this app read messages (its “tier 3”): 50 for an app that your company made for "
            "itself, 1 for one from elsewhere that is not in Slack's Marketplace. The other tiers follow.",
            FieldKind.INTEGER,
            required=False,
            default=CALLS_PER_MINUTE,
            is_advanced=True,
        ),
        FormField(
            "base_url",
            "API base URL",
            "Leave this as it is, unless your company reaches Slack through a proxy.",
            FieldKind.URL,
            required=False,
            default=DEFAULT_URL,
            is_advanced=True,
        ),
    )
    permissions = (
        "channels:read (the list of public channels)",
        "channels:history (messages of public channels)",
        "users:read (people; users:read.email for their addresses)",
        "groups:read and groups:history (only for private channels)",
    )
    setup_help = (
        "Open api.slack.com/apps, press “Create New App › From scratch” and choose your workspace: an app of your own "
        "may read much faster than one from elsewhere. Under “OAuth & Permissions” add the Bot Token Scopes "
        "channels:read, channels:history, users:read and users:read.email, press “Install to Workspace” and copy the "
        "Bot User OAuth Token. Then invite the app to each channel it should read: /invite @its-name. Archived "
        "channels are read as long as the app is in them."
    )
    rate_limits = (
        RateLimit(20, 60, "lists of channels and people (tier 2)"),
        RateLimit(50, 60, "pages of messages, and as many threads (tier 3)"),
    )
    streams: tuple[StreamSpec, ...] = STREAMS
    reads_back = "everything written"

    def check(self, settings: Mapping[str, Any]) -> str:
        with secrets_hidden([settings.get("token", "")]), _api(settings, tries=CHECK_TRIES) as api:
            team = api.call("auth.test").get("team", "the workspace")
            channels = [each for each in _channels(api, settings) if not each.get("is_archived")]
            api.call("users.list", limit=1)
            absent = []
            is_history_allowed = False
            for channel in channels:
                if not channel.get("is_member"):
                    absent.append(channel)
                elif not is_history_allowed:
                    api.call("conversations.history", channel=channel["id"], limit=1)
                    is_history_allowed = True
        if not channels:
            raise TerminalError("The token works, but Slack shows it no channel.", kind="forbidden")
        sentence = f"Connected to the Slack workspace “{team}”. "
        if not absent:
            return f"{sentence}The app is in {many(len(channels), 'channel')}."
        return (
            f"{sentence}The app is in {len(channels) - len(absent)} of {many(len(channels), 'channel')}; not in "
            f"{_names(absent)}. To read these too, invite it there: /invite @its-name."
        )

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return list(STREAMS)

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        return {channel: back_to(known, moment) for channel, known in since.items()}

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        if stream.name not in SPECS:
            raise TerminalError(f"Slack has no stream called “{stream.name}”.", kind="stream")
        with secrets_hidden([settings.get("token", "")]), _api(settings) as api:
            if stream.name == "users":
                yield from _whole("users", api.pages("users.list", "members"))
            elif stream.name == "channels":
                yield from _whole("channels", _channel_pages(api, settings))
            else:
                yield from _messages(api, settings, stream, since)


def _messages(api: SlackApi, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
    """Every channel in turn. Ends with a failure that names what could not be read, after everything else was."""
    cursors: dict[str, Any] = dict(since or {})
    days_back = settings.get("days_back")
    reader = Reader(
        api,
        (stream.name, *stream.along),
        cursors,
        days_back=DAYS_BACK if days_back is None or days_back == "" else max(0, int(days_back)),
        keeps_text=bool(settings.get("keep_text")),
    )
    skipped: dict[str, list[str]] = {}
    for channel in _channels(api, settings):
        is_known = channel["id"] in cursors
        if not channel.get("is_member") and not is_known and (settings.get("joined_only") or channel["is_archived"]):
            continue
        try:
            yield from reader.channel(channel["id"])
        except PortalError as error:
            if error.kind not in CHANNEL:
                raise
            if not channel["is_archived"]:
                skipped.setdefault(CHANNEL[error.kind], []).append(f"#{channel.get('name', channel['id'])}")
    yield Page([], cursor=dict(cursors))
    if skipped:
        count = sum(map(len, skipped.values()))
        parts = "; ".join(f"{_names(names)} ({why})" for why, names in skipped.items())
        raise TerminalError(
            f"{many(count, 'channel')} could not be read: {parts}. The others were. Invite the app there with "
            "/invite @its-name, or say in the settings of this source which channels to read.",
            "\n".join(f"{why}: {', '.join(names)}" for why, names in skipped.items()),
            kind="skipped_channels",
        )


def _whole(name: str, pages: Iterator[list[dict[str, Any]]]) -> Iterator[Page]:
    """All of a list; what a page repeats counts once."""
    shape = Shape(SPECS[name], omit=OMIT[name])
    seen: set[str] = set()
    for items in pages:
        new = [item for item in items if item["id"] not in seen]
        seen.update(item["id"] for item in new)
        yield Page([shape.row(item) for item in {item["id"]: item for item in new}.values()])


def _channel_pages(api: SlackApi, settings: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    kinds = "public_channel,private_channel" if settings.get("private_channels") else "public_channel"
    return api.pages("conversations.list", "channels", types=kinds, exclude_archived="false")


def _channels(api: SlackApi, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The channels to read, in a steady order."""
    found = {each["id"]: {"is_archived": False, **each} for page in _channel_pages(api, settings) for each in page}
    wanted = [str(name).strip().lstrip("#") for name in settings.get("channels") or () if str(name).strip()]
    if not wanted:
        return [found[key] for key in sorted(found)]
    by_name = {each.get("name"): each for each in found.values()}
    chosen = {}
    for name in wanted:
        channel = found.get(name) or by_name.get(name)
        if channel is None:
            hint = "" if settings.get("private_channels") else " If it is private, tick “Also private channels”."
            raise TerminalError(
                f"Slack shows no channel “{name}” to the app. Check the name under “Channels” in the settings.{hint}",
                kind="not_found",
            )
        chosen[channel["id"]] = channel
    return [chosen[key] for key in sorted(chosen)]


def _names(channels: list[Any], most: int = 5) -> str:
    names = [each if isinstance(each, str) else f"#{each.get('name', each['id'])}" for each in channels]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _api(settings: Mapping[str, Any], **options: Any) -> SlackApi:
    token = str(settings.get("token") or "").strip()
    if not token:
        raise TerminalError("The Slack source has no token yet. Paste one in its settings.", kind="settings")
    return SlackApi(
        str(settings.get("base_url") or DEFAULT_URL),
        token,
        int(settings.get("calls_per_minute") or CALLS_PER_MINUTE),
        **options,
    )
