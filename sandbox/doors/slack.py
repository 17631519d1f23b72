"""The Slack Web API: lists, history and threads, as GET or as a posted form, with ``"ok": false`` under HTTP 200."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from bisect import bisect_left, bisect_right
from collections import deque
from operator import attrgetter
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.company import Company
from sandbox.doors.base import Door, reply
from sandbox.faults import Fault
from sandbox.team import Channel, Member, Message

TEAM = "T0TIDEWATER"
BOT, BOT_USER = "B0DATAPORTAL", "U0DATAPORTAL"
#: What the door's app may do; ``scopes`` is narrowed by tests.
SCOPES = frozenset({"channels:read", "channels:history", "users:read", "users:read.email"})
#: method → the scope it needs, its calls a minute as a part of tier 3's.
METHODS = {
    "auth.test": ("", 2.0),
    "conversations.list": ("channels:read", 0.4),
    "conversations.info": ("channels:read", 1.0),
    "conversations.history": ("channels:history", 1.0),
    "conversations.replies": ("channels:history", 1.0),
    "users.list": ("users:read", 0.4),
}
#: Far above Slack's 50: nobody wants to wait for the history of a company that does not exist.
CALLS_PER_MINUTE = 12_000
_MOST, _USUAL = 999, 100
_stamp = attrgetter("ts")


class _Refused(Exception):
    def __init__(self, code: str, **more: str) -> None:
        super().__init__(code)
        self.body = {"ok": False, "error": code, **more}


class SlackDoor(Door):
    """``token`` opens everything its ``scopes`` allow in the channels of ``joined``.

    ``calls_per_minute`` is what tier 3 allows and is enforced per method; the other tiers follow.
    """

    service = "slack"

    def __init__(self, company: Company, token: str) -> None:
        super().__init__()
        self._company = company
        self._team = company.team
        self.token = token
        self.scopes = set(SCOPES)
        self.joined = set(self._team.channels)
        self.calls_per_minute = CALLS_PER_MINUTE
        self._calls: dict[str, deque[float]] = {method: deque() for method in METHODS}
        self._lock = threading.Lock()
        self._revoked: set[str] = set()

    def endpoint(self) -> dict[str, Any]:
        return {"base_url": f"{self.base_url}/api", "token": self.token, "calls_per_minute": self.calls_per_minute}

    def expire(self, token: str) -> None:
        """From now on this token is answered with ``token_revoked``."""
        self._revoked.add(token)

    # -- answers ---------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        method = request.path.removeprefix("/api/")
        headers = {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
        if method not in METHODS:
            return reply({"ok": False, "error": "unknown_method", "req_method": method})
        scope, share = METHODS[method]
        try:
            self._admit(request, scope)
            wait = self._spend(method, share)
            if wait is not None:
                return self._too_fast(wait)
            given = {**request.args.to_dict(), **request.form.to_dict()}
            with self._company.lock:
                body = getattr(self, f"_{method.replace('.', '_')}")(given)
        except _Refused as error:
            return reply(error.body, headers=headers)
        return reply({"ok": True, **body}, headers=headers)

    def _admit(self, request: Request, scope: str) -> None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip() if kind.lower() == "bearer" else request.values.get("token", "")
        if not token:
            raise _Refused("not_authed")
        if token in self._revoked:
            raise _Refused("token_revoked")
        if token != self.token:
            raise _Refused("invalid_auth")
        if scope and scope not in self.scopes:
            raise _Refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _auth_test(self, given: dict[str, str]) -> dict[str, Any]:
        return {
            "url": "https://tidewater.slack.example/",
            "team": "Tidewater",
            "user": "data-portal",
            "team_id": TEAM,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": False,
        }

    def _conversations_list(self, given: dict[str, str]) -> dict[str, Any]:
        channels = list(self._team.channels.values())
        if given.get("exclude_archived") == "true":
            channels = [channel for channel in channels if not channel.is_archived]
        if "public_channel" not in given.get("types", "public_channel").split(","):
            channels = []
        page, following = _page(given, channels, "team")
        return {"channels": [self._channel(each) for each in page], "response_metadata": {"next_cursor": following}}

    def _conversations_info(self, given: dict[str, str]) -> dict[str, Any]:
        return {"channel": self._channel(self._find(given))}

    def _users_list(self, given: dict[str, str]) -> dict[str, Any]:
        page, following = _page(given, self._team.members, "user")
        members = [self._user(member) for member in page]
        return {
            "members": members,
            "cache_ts": self._company.now,
            "response_metadata": {"next_cursor": following},
        }

    def _conversations_history(self, given: dict[str, str]) -> dict[str, Any]:
        messages = self._within(given, self._readable(given).messages)
        limit = _limit(given)
        # With `oldest` alone the page nearest to it comes first; else the newest. Each page lists newest first.
        forward = given.get("oldest", "0") not in {"", "0"} and not given.get("latest")
        skip = _place(given, "next_ts")
        if forward:
            page, rest = messages[skip : skip + limit], len(messages) - skip - limit
        else:
            end = len(messages) - skip
            page, rest = messages[max(0, end - limit) : max(0, end)], end - limit
        body: dict[str, Any] = {
            "messages": [_message(each) for each in reversed(page)],
            "has_more": rest > 0,
            "pin_count": 0,
            "channel_actions_ts": None,
            "channel_actions_count": 0,
        }
        if rest > 0:
            body["response_metadata"] = {"next_cursor": _cursor("next_ts", skip + limit)}
        return body

    def _conversations_replies(self, given: dict[str, str]) -> dict[str, Any]:
        channel = self._readable(given)
        parent = self._team.find(channel.id, given.get("ts", ""))
        if parent is None:
            raise _Refused("thread_not_found")
        limit, skip = _limit(given), _place(given, "next_ts")
        found = self._within(given, parent.replies)
        page, rest = found[skip : skip + limit], len(found) - skip - limit
        body: dict[str, Any] = {
            "messages": [_message(parent), *(_message(each, parent=parent) for each in page)],
            "has_more": rest > 0,
        }
        if rest > 0:
            body["response_metadata"] = {"next_cursor": _cursor("next_ts", skip + limit)}
        return body

    # -- finding ---------------------------------------------------------------------------------------------------

    def _find(self, given: dict[str, str]) -> Channel:
        channel = self._team.channels.get(given.get("channel", ""))
        if channel is None:
            raise _Refused("channel_not_found")
        return channel

    def _readable(self, given: dict[str, str]) -> Channel:
        channel = self._find(given)
        if channel.id not in self.joined:
            raise _Refused("not_in_channel")
        return channel

    def _within(self, given: dict[str, str], messages: list[Message]) -> list[Message]:
        oldest, latest = given.get("oldest") or "0", given.get("latest") or ""
        for name, value in (("oldest", oldest), ("latest", latest)):
            if value and not value.replace(".", "", 1).isdigit():
                raise _Refused(f"invalid_ts_{name}")
        inclusive = given.get("inclusive") in {"true", "1"}
        low = (bisect_left if inclusive else bisect_right)(messages, _padded(oldest), key=_stamp)
        if not latest:
            return messages[low:]
        high = (bisect_right if inclusive else bisect_left)(messages, _padded(latest), key=_stamp)
        return messages[low:high]

    def _channel(self, channel: Channel) -> dict[str, Any]:
        return {
            "id": channel.id,
            "name": channel.name,
            "name_normalized": channel.name,
            "created": channel.created_at,
            "creator": channel.creator.id,
            "is_channel": True,
            **dict.fromkeys(("is_group", "is_im", "is_mpim", "is_private", "is_shared"), False),
            **dict.fromkeys(("is_org_shared", "is_ext_shared", "is_pending_ext_shared"), False),
            "is_archived": channel.is_archived,
            "is_general": channel.name == "general",
            "is_member": channel.id in self.joined,
            "unlinked": 0,
            "parent_conversation": None,
            "pending_shared": [],
            "pending_connected_team_ids": [],
            "shared_team_ids": [TEAM],
            "previous_names": [],
            "num_members": 0 if channel.is_archived else len(self._team.members),
            "topic": {"value": "", "creator": "", "last_set": 0},
            "purpose": {
                "value": channel.purpose,
                "creator": channel.creator.id,
                "last_set": channel.created_at,
            },
        }

    def _user(self, member: Member) -> dict[str, Any]:
        first, _, last = member.name.partition(" ")
        profile = {
            "title": member.department,
            "phone": "",
            "skype": "",
            "real_name": member.name,
            "real_name_normalized": member.name,
            "display_name": first,
            "display_name_normalized": first,
            "first_name": first,
            "last_name": last,
            "status_text": "",
            "status_emoji": "",
            "status_expiration": 0,
            "fields": None,
            "avatar_hash": f"{member.updated_at:012x}",
            "team": TEAM,
            **{
                f"image_{size}": f"https://avatars.tidewater.example/{member.id}-{size}.png"
                for size in (24, 32, 48, 72, 192, 512)
            },
        }
        if "users:read.email" in self.scopes:
            profile["email"] = member.email
        zone, shift, label = member.zone
        return {
            "id": member.id,
            "team_id": TEAM,
            "name": member.handle,
            "deleted": False,
            "color": "9f69e7",
            "real_name": member.name,
            "tz": zone,
            "tz_label": label,
            "tz_offset": shift,
            "profile": profile,
            **dict.fromkeys(("is_admin", "is_owner", "is_primary_owner"), member is self._team.members[0]),
            **dict.fromkeys(("is_restricted", "is_ultra_restricted", "is_bot", "is_app_user"), False),
            "updated": member.updated_at,
        }

    # -- limits and errors -----------------------------------------------------------------------------------------

    def _spend(self, method: str, share: float) -> float | None:
        """Seconds to wait when this method was called too often in the last minute of real time."""
        with self._lock:
            calls, now = self._calls[method], time.monotonic()
            while calls and calls[0] <= now - 60:
                calls.popleft()
            if len(calls) >= max(1, round(self.calls_per_minute * share)):
                return calls[0] + 60 - now
            calls.append(now)
            return None

    def _too_fast(self, wait: float) -> Response:
        headers = {"Retry-After": str(max(1, round(wait)))}
        return reply({"ok": False, "error": "ratelimited"}, 429, headers)

    def refuse(self, request: Request, fault: Fault) -> Response:
        method = request.path.removeprefix("/api/")
        match fault.kind:
            case "429" | "rate_limit" | "secondary_rate_limit":
                return self._too_fast(fault.retry_after or 1)
            case "expired_token":
                return reply({"ok": False, "error": "token_expired"})
            case "forbidden":
                scope = METHODS.get(method, ("", 0))[0] or "identify"
                provided = ",".join(sorted(self.scopes - {scope}))
                return reply({"ok": False, "error": "missing_scope", "needed": scope, "provided": provided})
        codes = {"500": "internal_error", "502": "fatal_error", "503": "service_unavailable", "504": "request_timeout"}
        return reply({"ok": False, "error": codes.get(fault.kind, "fatal_error")}, int(fault.kind))


def _message(message: Message, *, parent: Message | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "message",
        "user": message.author.id,
        "text": message.text,
        "ts": message.ts,
        "team": TEAM,
    }
    if message.thread_ts:
        body["thread_ts"] = message.thread_ts
    if parent is not None:
        body["parent_user_id"] = parent.author.id
    if message.replies:
        authors = list(dict.fromkeys(each.author.id for each in message.replies))
        body |= {
            "reply_count": len(message.replies),
            "reply_users_count": len(authors),
            "latest_reply": message.replies[-1].ts,
            "reply_users": authors[:5],
            "subscribed": False,
        }
    if message.reactions:
        body["reactions"] = [
            {"name": name, "users": list(users), "count": len(users)} for name, users in message.reactions.items()
        ]
    if message.edited_ts:
        body["edited"] = {"user": message.author.id, "ts": message.edited_ts}
    if message.has_file:
        number = message.ts.replace(".", "")
        body["files"] = [{"id": f"F0{number}", "name": "notes.pdf", "mimetype": "application/pdf", "size": 48_213}]
        body["upload"] = True
    return body


def _page(given: dict[str, str], records: list[Any], kind: str) -> tuple[list[Any], str]:
    """A page of a list and the cursor of the next one, "" at the end."""
    limit, skip = _limit(given), _place(given, kind)
    following = _cursor(kind, skip + limit) if skip + limit < len(records) else ""
    return records[skip : skip + limit], following


def _limit(given: dict[str, str]) -> int:
    text = given.get("limit") or str(_USUAL)
    if not text.isdigit() or not 0 < int(text) < 1000:
        raise _Refused("invalid_limit")
    return min(_MOST, int(text))


def _cursor(kind: str, place: int) -> str:
    return base64.b64encode(f"{kind}:{place}".encode()).decode()


def _place(given: dict[str, str], kind: str) -> int:
    """What a cursor says; the beginning without one."""
    if not given.get("cursor"):
        return 0
    try:
        found, _, place = base64.b64decode(given["cursor"], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        found, place = "", ""
    if found != kind or not place.isdigit():
        raise _Refused("invalid_cursor")
    return int(place)


def _padded(ts: str) -> str:
    """A moment as a ts, so that the two sort alike."""
    seconds, _, rest = ts.partition(".")
    return f"{int(seconds or 0):010d}.{rest[:6]:0<6}"
