"""Mixpanel: the raw event export by day, user profiles and cohorts.

Events arrive late (a phone without a network delivers days later), so each read asks again for the last days
(`late_days`) and for today, which is never complete. An export of some days is kept on disk until it has ended well and
only then handed out: a day is read whole or not at all. Of an event that was delivered twice the later copy is kept.

The cursor: {"day": the newest day with an event, "seen": a fingerprint of each day that will be asked for again}. A day
that comes back unchanged is not handed out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from portal.failures import TerminalError, TransientError
from portal.redact import secrets_hidden
from sources.connectors.base import FieldKind, FormField, Page, RateLimit, StreamRequest, StreamSpec, SyncMode
from sources.connectors.http import ApiClient
from sources.connectors.mixpanel_export import Export
from sources.connectors.mixpanel_streams import COHORTS, EVENTS, PROFILES, STREAMS
from sources.connectors.mixpanel_times import PROJECT, REAL_UTC, ZONES, Times
from sources.connectors.shape import Shape

REGIONS = {
    "us": ("United States", "https://data.mixpanel.com", "https://mixpanel.com"),
    "eu": ("European Union", "https://data-eu.mixpanel.com", "https://eu.mixpanel.com"),
    "in": ("India", "https://data-in.mixpanel.com", "https://in.mixpanel.com"),
}
LATE_DAYS = 5
MOST_LATE_DAYS = 60
FIRST_DAYS = 365  # read back so far when no beginning is named
CLOCKS_DIFFER = timedelta(minutes=15)  # a day that has not begun at Mixpanel yet would be refused

FORBIDDEN = (
    "The service account has no access to this project. In Mixpanel, open Organization Settings › Service Accounts and "
    "add the project to it with the role Consumer or higher; also check the project ID."
)
SENTENCES = {
    400: "Mixpanel did not accept the question. Most often the project ID is wrong, or the project is in another "
    "region: check both in the settings of this source.",
    402: "Mixpanel's plan of this project does not include the export of data. Ask whoever manages the plan.",
}


class MixpanelConnector:
    name = "mixpanel"
    label = "Mixpanel"
    summary = "Every event of your product analytics, with user profiles and cohorts."
    fields = (
        FormField("username", "Service account", "Its username, as Mixpanel shows it: name.a1b2c3.mp-service-account."),
        FormField(
            "secret",
            "Secret",
            "Mixpanel shows it once, when the service account is made. It is stored encrypted and never shown again.",
            FieldKind.SECRET,
        ),
        FormField(
            "project_id",
            "Project ID",
            "A number; in Mixpanel under Settings › Project Settings › Overview.",
            placeholder="1234567",
        ),
        FormField(
            "region",
            "Where the data is kept",
            "In Mixpanel under Settings › Project Settings: Data Residency.",
            FieldKind.CHOICE,
            default="us",
            choices=tuple((key, label) for key, (label, *_) in REGIONS.items()),
        ),
        FormField(
            "timezone",
            "Project time zone",
            "In Mixpanel under Settings › Project Settings: Timezone. It says on which day an event counts.",
            FieldKind.CHOICE,
            default="UTC",
            choices=tuple((zone, zone) for zone in ZONES),
        ),
        FormField(
            "time_basis",
            "When the project was made",
            "Older projects export times by their own clock, later ones in UTC; this says which. We compare with the "
            "time at which Mixpanel received each event and refuse to load when the choice cannot be right.",
            FieldKind.CHOICE,
            default=REAL_UTC,
            choices=((REAL_UTC, "On or after 11 January 2023"), (PROJECT, "Before 11 January 2023")),
        ),
        FormField(
            "start_date",
            "Read from",
            "The first day to read, as 2024-01-31. Empty: one year back.",
            required=False,
            placeholder="2024-01-31",
        ),
        FormField(
            "late_days",
            "Days to read again",
            "Phones deliver events late. Each sync asks again for so many of the last days; 5 is what Mixpanel's own "
            "libraries need.",
            FieldKind.INTEGER,
            required=False,
            default=LATE_DAYS,
            is_advanced=True,
        ),
        FormField(
            "base_url",
            "Export API base URL",
            "Leave this empty: the region above decides.",
            FieldKind.URL,
            required=False,
            placeholder="https://data.mixpanel.com",
            is_advanced=True,
        ),
        FormField(
            "query_base_url",
            "Query API base URL",
            "Leave this empty: the region above decides.",
            FieldKind.URL,
            required=False,
            placeholder="https://mixpanel.com",
            is_advanced=True,
        ),
    )
    permissions = ("A service account with the role Consumer (or higher) on the project",)
    setup_help = (
        "In Mixpanel, open Settings › Organization Settings › Service Accounts and press “Add Service Account”. Give it "
        "the role Consumer on the project you want to read, and copy its username and secret. The project's ID, time "
        "zone and data residency are under Settings › Project Settings › Overview."
    )
    rate_limits = (
        RateLimit(3, 1.0, "requests of a project"),
        RateLimit(60, 3_600, "exports of a project, and as many queries"),
    )
    streams: tuple[StreamSpec, ...] = STREAMS

    def check(self, settings: Mapping[str, Any]) -> str:
        with _hidden(settings):
            times = _times(settings)
            with _client(settings, 2, "query_base_url", tries=2) as client:
                cohorts = len(_cohorts(client, settings))
            day = times.today(_now()).isoformat()
            with _client(settings, 1, "base_url", tries=2) as client:
                asked = {"project_id": _project(settings), "from_date": day, "to_date": day, "limit": 1}
                for _ in client.lines("api/2.0/export", asked, forbidden=FORBIDDEN):
                    break
        return f"Connected to Mixpanel. The service account can export the events and sees {cohorts} cohorts."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return list(STREAMS)

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        with _hidden(settings):
            if stream.name == EVENTS.name:
                with _client(settings, 1, "base_url") as client:
                    is_new = since is None or stream.sync_mode is SyncMode.FULL_REFRESH
                    times = _times(settings)
                    today = times.today(_now())
                    export = Export(
                        client,
                        times,
                        project=_project(settings),
                        start=_start(settings, today),
                        today=today,
                        late_days=_late_days(settings),
                        forbidden=FORBIDDEN,
                    )
                    yield from export.pages({} if is_new else since)
            elif stream.name == PROFILES.name:
                with _client(settings, 2, "query_base_url") as client:
                    yield from _profiles(client, settings)
            elif stream.name == COHORTS.name:
                with _client(settings, 2, "query_base_url") as client:
                    shape = Shape(COHORTS)
                    yield Page([shape.row(item) for item in _cohorts(client, settings)])
            else:
                raise TerminalError(f"Mixpanel has no stream called “{stream.name}”.", kind="stream")


# Settings -----------------------------------------------------------------------------------------------------------


def _now() -> datetime:
    return datetime.now(UTC) - CLOCKS_DIFFER


def _key(settings: Mapping[str, Any]) -> str:
    pair = f"{str(settings.get('username') or '').strip()}:{str(settings.get('secret') or '').strip()}"
    return base64.b64encode(pair.encode()).decode()


def _hidden(settings: Mapping[str, Any]) -> Any:
    return secrets_hidden([str(settings.get("secret") or ""), _key(settings)])


def _client(settings: Mapping[str, Any], host: int, field: str, **options: Any) -> ApiClient:
    for name, label in (("username", "username"), ("secret", "secret")):
        if not str(settings.get(name) or "").strip():
            raise TerminalError(
                f"The Mixpanel source has no service account {label} yet. Fill it in in its settings.", kind="settings"
            )
    region = str(settings.get("region") or "us")
    if region not in REGIONS:
        raise TerminalError("Choose the region of the Mixpanel project in the settings.", region, kind="settings")
    return ApiClient(
        "Mixpanel",
        str(settings.get(field) or REGIONS[region][host]),
        {"Authorization": f"Basic {_key(settings)}", "Accept": "application/json, text/plain"},
        unauthorized="Mixpanel did not accept the service account: the username or the secret is mistyped, or it was "
        "removed. Create a new one under Organization Settings › Service Accounts and fill it in here.",
        limits=MixpanelConnector.rate_limits,
        sentences=SENTENCES,
        **options,
    )


def _project(settings: Mapping[str, Any]) -> str:
    project = str(settings.get("project_id") or "").strip()
    if not project.isdigit():
        raise TerminalError("The project ID of the Mixpanel source has to be a number.", kind="settings")
    return project


def _times(settings: Mapping[str, Any]) -> Times:
    return Times(str(settings.get("timezone") or "UTC"), str(settings.get("time_basis") or REAL_UTC))


def _start(settings: Mapping[str, Any], today: date) -> date:
    text = str(settings.get("start_date") or "").strip()
    if not text:
        return today - timedelta(days=FIRST_DAYS)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise TerminalError(
            f"“Read from” has to be a day such as 2024-01-31, not “{text}”.", repr(error), kind="settings"
        ) from error


def _late_days(settings: Mapping[str, Any]) -> int:
    value = settings.get("late_days")
    try:
        days = LATE_DAYS if value in (None, "") else int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        days = -1
    if not 0 <= days <= MOST_LATE_DAYS:
        raise TerminalError(f"“Days to read again” has to be a number from 0 to {MOST_LATE_DAYS}.", kind="settings")
    return days


# Profiles and cohorts -----------------------------------------------------------------------------------------------


def _cohorts(client: ApiClient, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(f"api/query/cohorts/list?project_id={_project(settings)}", form={}, forbidden=FORBIDDEN)
    return _list(answer.body, "the cohorts")


def _profiles(client: ApiClient, settings: Mapping[str, Any]) -> Iterator[Page]:
    """Every profile, a page at a time; the session keeps the list as it was when it began."""
    path = f"api/query/engage?project_id={_project(settings)}"
    shape = Shape(PROFILES)
    form: dict[str, str] = {}
    number = found = total = 0
    while True:
        body = client.post(path, form=form, forbidden=FORBIDDEN).body
        if not isinstance(body, dict) or body.get("status", "ok") != "ok":
            raise _unfit("the profiles", body)
        results = _list(body.get("results"), "the profiles")
        if number == 0:
            total = int(body.get("total") or len(results))
        if body.get("page", number) != number:
            raise _unfit("the profiles: another page than was asked for", body.get("page"))
        found += len(results)
        yield Page([shape.row(item) for item in results])
        if not results or found >= total:
            break
        number += 1
        form = {"session_id": str(body.get("session_id") or ""), "page": str(number)}
    if found < total:
        raise TransientError(
            f"Mixpanel sent {found:,} of {total:,} profiles and then no more. Nothing was replaced.",
            f"engage: page {number} was empty",
            kind="server_error",
        )


def _list(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _unfit(what, value)
    return value


def _unfit(what: str, value: Any) -> TransientError:
    return TransientError(
        "Mixpanel sent an answer that we do not understand. Nothing was replaced.",
        f"{what}: {str(value)[:500]}",
        kind="server_error",
    )
