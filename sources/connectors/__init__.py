"""The systems the portal can read. A connector is a module here and a line in `CONNECTORS`."""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from portal.failures import TerminalError
from sources.connectors.base import Connector, FormField

CONNECTORS: dict[str, str] = {
    "stripe": "sources.connectors.stripe.StripeConnector",
    "github": "sources.connectors.github.GitHubConnector",
    "hubspot": "sources.connectors.hubspot.HubSpotConnector",
    "intercom": "sources.connectors.intercom.IntercomConnector",
    "slack": "sources.connectors.slack.SlackConnector",
    "mixpanel": "sources.connectors.mixpanel.MixpanelConnector",
    "google_sheets": "sources.connectors.google_sheets.GoogleSheetsConnector",
    "postgres": "sources.connectors.postgres.PostgresConnector",
}


@cache
def get_connector(name: str) -> Connector:
    """The connector of that name; raises `TerminalError` when there is none."""
    if name not in CONNECTORS:
        raise TerminalError(
            f"There is no connector called “{name}”. Available: {', '.join(sorted(CONNECTORS))}.", kind="connector"
        )
    return import_string(CONNECTORS[name])()


def all_connectors() -> list[Connector]:
    """Every connector, by label."""
    return sorted((get_connector(name) for name in CONNECTORS), key=lambda connector: connector.label)


def label_of(name: str) -> str:
    """What people call the system; the bare name when there is no such connector."""
    return get_connector(name).label if name in CONNECTORS else name


def fields_of(name: str) -> tuple[FormField, ...]:
    """The fields of the connector of that name; none when there is no such connector."""
    return get_connector(name).fields if name in CONNECTORS else ()
