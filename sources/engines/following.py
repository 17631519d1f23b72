"""The part of a sync that follows a source's log: one pass for all its streams, and the confirmation after the load."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from portal.failures import PortalError, as_portal_error
from sources.connectors.base import Connector, Page, StreamRequest, SyncMode
from sources.connectors.log import (
    BY_LOG,
    DELETED_AT,
    ChangedRows,
    Emptied,
    Failed,
    FollowsLog,
    LogPosition,
    News,
    Reached,
    Told,
)
from sources.engines.base import Progress, SyncRequest
from sources.engines.changes import ChangeSpool, missing_as_deleted
from sources.engines.readings import Reading
from sources.engines.spool import Spool

logger = logging.getLogger(__name__)

# Failures after which the log would not tell the stream's changes anyway.
OUT_OF_REACH = {"missing", "primary_key", "publication", "forbidden"}


class Following:
    """For a source whose settings do not ask for it, everything here does nothing."""

    def __init__(self, connector: Connector, request: SyncRequest) -> None:
        self.connector = cast(FollowsLog, connector)
        self.request = request
        self.is_on = hasattr(connector, "is_followed") and self.connector.is_followed(request.settings)
        self.keeps_deleted = self.is_on and self.connector.keeps_deleted(request.settings)
        self.told: list[Told] = []
        self.began_at = datetime.now(UTC)

    def streams(self) -> tuple[StreamRequest, ...]:
        """The streams to read; those that are followed go by the log, and the log knows their key."""
        if not self.is_on:
            return self.request.streams
        return tuple(
            replace(stream, cursor_field=BY_LOG, primary_key=()) if self._is_followed(stream) else stream
            for stream in self.request.streams
        )

    def _is_followed(self, stream: StreamRequest) -> bool:
        return self.is_on and stream.sync_mode is SyncMode.INCREMENTAL

    def spool(self, reading: Reading, folder: Path, normalize: Any) -> bool:
        """Give `reading` what it needs to be followed; False when it is read in another way."""
        if not self._is_followed(reading.request):
            return False
        reading.is_followed = True
        reading.spool = ChangeSpool(folder, reading.table, reading.key, normalize)
        if reading.since is None:
            reading.spool = Spool(folder, reading.table, reading.key, normalize, ())
        return True

    # --- reading ------------------------------------------------------------------------------------------------------
    def read(self, readings: Mapping[str, Reading], progress: Progress) -> set[str]:
        """Read all that is followed; returns the names of those streams."""
        followed = {name: reading for name, reading in readings.items() if reading.is_followed and not reading.error}
        if not followed:
            return set()
        self.began_at = datetime.now(UTC)
        self.told = []
        began = time.monotonic()
        try:
            asked = [(reading.request, reading.since) for reading in followed.values()]
            for news in self.connector.follow(self.request.settings, self.request.source, asked):
                self._take(news, followed, progress)
            for reading in followed.values():
                if reading.error is None:
                    reading.spool.close()
                    reading.is_whole = True
        except Exception as error:
            problem = as_portal_error(error)
            for reading in followed.values():
                if reading.error is None:
                    _give_up(reading, problem)
        for name, reading in followed.items():
            reading.seconds = (time.monotonic() - began) / len(followed)
            progress(name, reading.spool.rows)
        return set(followed)

    def _take(self, news: News, followed: Mapping[str, Reading], progress: Progress) -> None:
        if isinstance(news, Told):
            logger.warning("%s: %s", self.request.source, news.sentence)
            self.told.append(news)
            return
        reading = followed[news.stream]
        if isinstance(news, Failed):
            _give_up(reading, news.error)
            return
        if isinstance(news, Page):
            if news.starts_over and not reading.starts_over:
                reading.starts_over = True
                changes = reading.spool
                reading.spool = Spool(changes.folder, reading.table, reading.key, changes.normalize, ())
            reading.spool.add(news.rows)
        elif isinstance(news, ChangedRows):
            reading.spool.add(news.rows)
        elif isinstance(news, Emptied):
            reading.spool.empty(news.at)
        elif isinstance(news, Reached):
            if news.discards:
                reading.spool.discard()
            reading.cursor = news.cursor
        progress(news.stream, reading.spool.rows)

    # --- loading ------------------------------------------------------------------------------------------------------
    def settle(self, reading: Reading, connection: Any, store: Any) -> None:
        """Complete what was read against what the warehouse has; as the writer, before it is loaded."""
        if not reading.is_followed or reading.error:
            return
        there = store.stored_columns(connection, reading.table)

        def at_hand(key: Sequence[str], wanted: str | None) -> AbstractContextManager[tuple[Any, str]]:
            found: AbstractContextManager[tuple[Any, str]] = store.backend.at_hand(
                connection, self.request.dataset, reading.table, reading.spool.folder, key, wanted
            )
            return found

        if isinstance(reading.spool, ChangeSpool):
            reading.spool.settle(at_hand, there, keeps_deleted=self.keeps_deleted)
        elif there and self.keeps_deleted:
            key = [store.normalize(name) for name in reading.key]
            with at_hand(key, None) as (local, target):
                missing_as_deleted(local, target, there, reading.spool, key, self.began_at)

    def live(self, reading: Reading, connection: Any, store: Any) -> str:
        """Which rows of the table count when its size is compared: those that are not marked as deleted."""
        marked = reading.is_followed and DELETED_AT in store.stored_columns(connection, reading.table)
        return f"{DELETED_AT} is null" if marked else ""

    # --- afterwards ---------------------------------------------------------------------------------------------------
    def confirm(self, readings: Mapping[str, Reading], committed: Mapping[str, Any]) -> LogPosition | None:
        """Tell the source what is committed. A failure here is no failed sync: the next one confirms it again.

        A stream whose table is out of reach does not hold the log back: it is read whole when it is mended.
        """
        followed = [reading for reading in readings.values() if reading.is_followed]
        if not followed:
            return None
        counted = [reading for reading in followed if reading.error is None or reading.error.kind not in OUT_OF_REACH]
        cursors = [committed.get(reading.request.name, {}).get("cursor") for reading in counted]
        may_confirm = self.request.is_whole and all(
            cursor is not None or reading.error is not None for cursor, reading in zip(cursors, counted, strict=True)
        )
        try:
            found = self.connector.committed(
                self.request.settings, self.request.source, [c for c in cursors if c] if may_confirm else []
            )
        except Exception as error:
            problem = as_portal_error(error)
            logger.warning("%s: the log could not be confirmed: %s", self.request.source, problem.sentence)
            return None if not self.told else LogPosition("", "", told=self.told)
        found.told = self.told
        if may_confirm and all(reading.error is None for reading in followed):
            found.as_of = self.began_at
        return found


def _give_up(reading: Reading, error: PortalError) -> None:
    """Nothing of a stream that broke off is loaded: half a transaction is not the truth."""
    reading.spool.close()
    reading.spool.discard()
    reading.cursor = None
    reading.fail(error)


def moved(readings: Sequence[Reading], streams: Mapping[str, Any]) -> bool:
    """Whether a place in a log is worth being committed although no row came."""
    return any(
        reading.is_followed
        and not reading.error
        and reading.cursor is not None
        and reading.cursor != streams.get(reading.request.name, {}).get("cursor")
        for reading in readings
    )
