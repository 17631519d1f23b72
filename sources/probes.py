"""Probes: ask another system whether a log-in works and what it offers, in a worker, on a person's behalf.

ask()      a row (queued) and a message; the page watches the row
perform()  carried out by a worker that has claimed the row
purge()    the sweep's: what nobody looks at any more, and any secrets that are still in a row
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from portal import dispatch
from portal.failures import as_portal_error
from portal.redact import redact, secrets_hidden
from portal.runs import RunStatus, heartbeat
from sources import offers, previews
from sources.connectors import get_connector
from sources.connectors.addresses import ALLOWED_HOSTS
from sources.connectors.base import StreamSpec
from sources.engines import engine_for, get_engine
from sources.hosts import allowed_hosts
from sources.models import Probe, Source
from sources.secrets import hidden_values, resolved

KEPT_FOR = timedelta(days=1)
# How long a person waits before the page says that no worker has answered.
PATIENCE = timedelta(seconds=20)


def ask(
    *,
    connector: str,
    config: Mapping[str, Any],
    secrets: Mapping[str, str],
    user: Any = None,
    source: Source | None = None,
) -> Probe:
    """Queue a probe of these settings; `source` when they belong to one that is saved already."""
    probe = Probe.objects.create(
        source=source, connector=connector, config=dict(config), secrets=dict(secrets), asked_by=user
    )
    dispatch.send("run_probe", probe.pk)
    return probe


def ask_saved(source: Source, user: Any = None) -> Probe:
    """Queue a probe of a source as it is saved; what it finds brings the source's streams up to date."""
    return ask(connector=source.connector, config=source.config, secrets=source.secrets, user=user, source=source)


def perform(probe: Probe) -> None:
    """Carry out a claimed probe; however it goes, the row says so and its secrets are gone from it."""
    seen: dict[str, Any] = {}
    with secrets_hidden(probe.secrets.values()), heartbeat(Probe.objects.all(), probe.pk):
        try:
            settings = resolved(probe.config, probe.secrets, get_connector(probe.connector).fields)
            settings[ALLOWED_HOSTS] = allowed_hosts()
            sentence, specs, seen = _ask_engine(probe, settings)
            if failure := previews.failure_of(specs):
                raise failure
            if probe.source is not None and _asks_about_saved(probe, probe.source):
                applied = offers.apply(probe.source, specs)
                sentence = f"{sentence} {applied.sentence()}"
        except Exception as error:  # whatever it was, the person who asked must see a sentence
            Probe.objects.fail(probe.pk, as_portal_error(error), secrets={}, previews=seen)
            return
    streams = [offers.to_plain(spec) for spec in specs]
    Probe.objects.succeed(probe.pk, sentence=sentence, streams=streams, previews=seen, secrets={})


def _ask_engine(probe: Probe, settings: Mapping[str, Any]) -> tuple[str, list[StreamSpec], dict[str, Any]]:
    # A failure gets its text in here, where also the values from the environment are known and hidden.
    with secrets_hidden(hidden_values(probe.config, probe.secrets, settings)):
        try:
            engine = get_engine(probe.source.engine if probe.source else engine_for(probe.connector))
            sentence, specs = engine.check(probe.connector, settings), engine.discover(probe.connector, settings)
            return redact(sentence), specs, previews.to_plain(specs)
        except Exception as error:
            raise as_portal_error(error) from None


def offered_by(probe: Probe) -> list[StreamSpec]:
    """The streams a finished probe found."""
    return [offers.from_plain(data) for data in probe.streams]


def is_unanswered(probe: Probe, now: datetime) -> bool:
    """Queued for so long that the person should know: probably no worker is running."""
    return probe.status == RunStatus.QUEUED and now - probe.queued_at > PATIENCE


def purge(now: datetime) -> int:
    """Delete probes older than a day; returns how many. The sweep calls it."""
    return Probe.objects.filter(queued_at__lt=now - KEPT_FOR).delete()[1].get(Probe._meta.label, 0)


def _asks_about_saved(probe: Probe, source: Source) -> bool:
    """Only an answer about the settings that are saved may change the saved streams."""
    return (probe.connector, probe.config, dict(probe.secrets)) == (
        source.connector,
        source.config,
        dict(source.secrets),
    )
