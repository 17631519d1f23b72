"""Reading Slack's messages, threads and reactions, channel by channel.

First, a channel is read from its newest message back to its first, in whole UTC days, and can be taken up again at any
day. Then, each time: the last days again, whole, and every thread with a reply in them. Slack tells no client what was
edited, deleted or reacted to, so what was read is compared with a fingerprint of what it was, and only days and threads
that differ become rows.

The cursor, per channel: {"newest": ts, "days": {day: fingerprint}, "threads": {ts: [latest reply, replies, fingerprint]}};
while its first read is under way also {"before": the ts below which it goes on}.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import orjson

from portal.failures import TerminalError
from sources.connectors.base import GONE, Page
from sources.connectors.shape import Shape
from sources.connectors.slack_api import SlackApi
from sources.connectors.slack_streams import OMIT, SPECS, WRITTEN

# Changes with who looks and when, not with what was said.
_FLEETING = {"last_read", "subscribed", "unread_count", "user_profile", "is_starred"}
Message = dict[str, Any]


class Reader:
    """`cursors` is kept up to date: by channel, as described above."""

    def __init__(
        self, api: SlackApi, wanted: Sequence[str], cursors: dict[str, Any], *, days_back: int, keeps_text: bool
    ) -> None:
        self.api = api
        self.wanted = wanted
        self.cursors = cursors
        self.keeps_text = keeps_text
        self.days_back = timedelta(days=days_back)
        self.shapes = {
            name: Shape(SPECS[name], omit=OMIT[name] if keeps_text else (*OMIT[name], *WRITTEN)) for name in wanted
        }
        # Slack's clock, as far as we know it: nobody's own clock is trusted.
        self.known_to = max((known.get("newest", "") for known in cursors.values()), default="")
        # What a first read handed out already: a page that comes twice must not count twice.
        self.seen: set[tuple[str, str]] = set()

    def channel(self, channel: str) -> Iterator[Page]:
        """What is new in one channel, then the cursors with it."""
        known = self.cursors.get(channel) or {}
        if not known.get("newest") or "before" in known:
            yield from self._from_the_end(channel, known)
        else:
            yield from self._again(channel, known)

    # First ----------------------------------------------------------------------------------------------------------

    def _from_the_end(self, channel: str, known: Mapping[str, Any]) -> Iterator[Page]:
        newest, before = known.get("newest", ""), known.get("before", "")
        kept = {"days": dict(known.get("days", {})), "threads": dict(known.get("threads", {}))}
        waiting: dict[str, dict[str, Message]] = {}
        done: set[str] = set()
        may_break_off = True
        for messages in self.api.pages("conversations.history", "messages", channel=channel, latest=before):
            for message in messages:
                waiting.setdefault(_day(message["ts"]), {})[message["ts"]] = message
            newest = max([newest, *(message["ts"] for message in messages)])
            # Slack lists newest first. Should it not, the order no longer tells which days are whole.
            may_break_off = may_break_off and done.isdisjoint(waiting)
            whole = sorted(waiting)[1:]
            for day in reversed(whole):
                yield from self._day(channel, day, waiting.pop(day).values(), kept, is_first=True)
            done.update(whole)
            if whole and may_break_off:
                self.cursors[channel] = {**self._to_keep(newest, kept), "before": _start(whole[0])}
                yield Page([], cursor=dict(self.cursors))
        for day in sorted(waiting, reverse=True):
            yield from self._day(channel, day, waiting[day].values(), kept, is_first=True)
        self.cursors[channel] = self._to_keep(newest, kept)
        yield Page([], cursor=dict(self.cursors))

    # Then -----------------------------------------------------------------------------------------------------------

    def _again(self, channel: str, known: Mapping[str, Any]) -> Iterator[Page]:
        begin = _start(min([_day(min(known["newest"], self._active_since(self.known_to))), *known["days"]]))
        days: dict[str, dict[str, Message]] = {day: {} for day in known["days"] if _start(day) >= begin}
        newest = known["newest"]
        for messages in self.api.pages(
            "conversations.history", "messages", channel=channel, oldest=begin, inclusive="true"
        ):
            for message in messages:
                days.setdefault(_day(message["ts"]), {})[message["ts"]] = message
                newest = max(newest, message["ts"])
        kept = {"days": dict(known["days"]), "threads": dict(known["threads"])}
        in_sight: set[str] = set()
        for day, messages_of in sorted(days.items()):
            in_sight |= messages_of.keys()
            yield from self._day(channel, day, messages_of.values(), kept)
        since = self._active_since(self.known_to)
        for thread, (latest, *_) in sorted(known["threads"].items()):
            if thread not in in_sight and latest >= since and self._reads_threads:
                yield from self._thread(channel, thread, kept)
        self.cursors[channel] = self._to_keep(newest, kept)
        yield Page([], cursor=dict(self.cursors))

    # Both -----------------------------------------------------------------------------------------------------------

    def _day(
        self, channel: str, day: str, messages: Iterable[Message], kept: dict[str, Any], *, is_first: bool = False
    ) -> Iterator[Page]:
        """The rows of one whole day, if it is not as it was, and of the threads that began on it."""
        found = sorted(messages, key=lambda message: message["ts"])
        if is_first:
            found = [message for message in found if (channel, message["ts"]) not in self.seen]
            self.seen.update((channel, message["ts"]) for message in found)
            if not found:
                return
        fingerprint = _fingerprint(found)
        if is_first or kept["days"].get(day, _fingerprint([])) != fingerprint:
            kept["days"][day] = fingerprint
            date = datetime.fromisoformat(day).date()
            rows = [self._row("messages", channel, message, day=date) for message in found]
            if not found:
                rows = [{"channel_id": channel, "ts": "", "day": date, GONE: True}]
            yield from self._page("messages", rows)
            # What was also sent to the channel is a reply: its reactions come with the thread.
            own = [message for message in found if message.get("subtype") != "thread_broadcast"]
            yield from self._reactions(channel, day, own, is_first=is_first)
        if self._reads_threads:
            for message in found:
                if message.get("reply_count"):
                    yield from self._thread_of(channel, message, kept, is_first=is_first)

    @property
    def _reads_threads(self) -> bool:
        return "replies" in self.wanted or "reactions" in self.wanted

    def _thread_of(
        self, channel: str, parent: Message, kept: dict[str, Any], *, is_first: bool = False
    ) -> Iterator[Page]:
        """A thread whose first message is in sight; it tells how many replies there are, and of when the last is."""
        told = [parent.get("latest_reply", parent["ts"]), parent["reply_count"]]
        known = kept["threads"].get(parent["ts"])
        if known is None or known[:2] != told or told[0] >= self._active_since(self.known_to):
            yield from self._thread(channel, parent["ts"], kept, told=told, is_first=is_first)

    def _thread(
        self, channel: str, thread: str, kept: dict[str, Any], *, told: list[Any] | None = None, is_first: bool = False
    ) -> Iterator[Page]:
        replies: dict[str, Message] = {}
        parent: Message = {}
        try:
            for messages in self.api.pages("conversations.replies", "messages", channel=channel, ts=thread):
                for message in messages:
                    if message["ts"] == thread:
                        parent = message
                    else:
                        replies[message["ts"]] = message
        except TerminalError as error:
            if error.kind != "thread_not_found":
                raise
        found = [replies[ts] for ts in sorted(replies)]
        fingerprint = _fingerprint(found)
        told = told or [parent.get("latest_reply", thread), parent.get("reply_count", 0)]
        before = kept["threads"].get(thread, ["", 0, ""])[2]
        kept["threads"][thread] = [*told, fingerprint]
        if before == fingerprint:
            return
        rows = [self._row("replies", channel, message, thread_ts=thread) for message in found]
        if not found and not is_first:
            rows = [{"channel_id": channel, "thread_ts": thread, "ts": "", GONE: True}]
        yield from self._page("replies", rows)
        yield from self._reactions(channel, thread, found, is_first=is_first, thread_ts=thread)

    def _reactions(
        self, channel: str, found_in: str, messages: Sequence[Message], *, is_first: bool, **known: Any
    ) -> Iterator[Page]:
        if "reactions" not in self.wanted:
            return
        rows = []
        for message in messages:
            for reaction in message.get("reactions") or ():
                rows.append(
                    self.shapes["reactions"].row(
                        reaction,
                        channel_id=channel,
                        message_ts=message["ts"],
                        thread_ts=known.get("thread_ts", message.get("thread_ts")),
                        has_all_users=len(reaction.get("users") or ()) >= reaction["count"],
                        sent_at=float(message["ts"]),
                        found_in=found_in,
                    )
                )
        if not rows and not is_first:
            rows = [{"channel_id": channel, "message_ts": "", "name": "", "found_in": found_in, GONE: True}]
        yield from self._page("reactions", rows)

    def _page(self, stream: str, rows: list[dict[str, Any]]) -> Iterator[Page]:
        if stream in self.wanted and rows:
            yield Page(rows, stream=stream)

    def _row(self, stream: str, channel: str, message: Message, **known: Any) -> dict[str, Any]:
        if stream not in self.wanted:
            return {}
        text = message.get("text") or ""
        return self.shapes[stream].row(
            message,
            channel_id=channel,
            sent_at=float(message["ts"]),
            text=text if self.keeps_text else None,
            text_length=len(text),
            reaction_count=sum(reaction["count"] for reaction in message.get("reactions") or ()),
            file_count=len(message.get("files") or ()),
            **known,
        )

    def _to_keep(self, newest: str, kept: Mapping[str, Any]) -> dict[str, Any]:
        """A channel's cursor, without what will not be looked at again."""
        since = self._active_since(max(newest, self.known_to))
        first_day = _day(min(newest, since)) if newest else ""
        return {
            "newest": newest,
            "days": {day: fingerprint for day, fingerprint in kept["days"].items() if day >= first_day},
            "threads": {
                thread: known
                for thread, known in kept["threads"].items()
                if known[0] >= since or _day(thread) >= first_day
            },
        }

    def _active_since(self, newest: str) -> str:
        return _ts(_moment(newest) - self.days_back) if newest else ""


def back_to(known: Mapping[str, Any], moment: datetime) -> Mapping[str, Any]:
    """A channel's cursor, changed so that every day from `moment` on counts as different from what it was."""
    if not known.get("newest") or "before" in known:
        return known  # its first read brings everything
    day, last = moment.astimezone(UTC).date(), _moment(known["newest"]).date()
    days = {(day + timedelta(days=number)).isoformat(): "" for number in range((last - day).days + 1)}
    threads = {thread: [latest, -1, ""] for thread, (latest, *_) in known["threads"].items()}
    return {**known, "days": {**known["days"], **days}, "threads": threads}


def many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _moment(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)


def _ts(moment: datetime) -> str:
    return f"{moment.timestamp():.6f}"


def _day(ts: str) -> str:
    return _moment(ts).date().isoformat()


def _start(day: str) -> str:
    """The first ts of a UTC day."""
    return _ts(datetime.combine(datetime.fromisoformat(day), time(), UTC))


def _fingerprint(messages: Iterable[Message]) -> str:
    steady = [{key: value for key, value in message.items() if key not in _FLEETING} for message in messages]
    return hashlib.blake2b(orjson.dumps(steady, option=orjson.OPT_SORT_KEYS), digest_size=9).hexdigest()
