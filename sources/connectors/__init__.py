"""The systems the portal can read. A connector is a module here and a line in `CONNECTORS`.

Beside these, each file in `PIPELINES_DIR` is one: a company's own code (`own_code.py`).
"""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from portal.failures import TerminalError
from sources.connectors import own_code
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
    "rest": "sources.connectors.rest.RestConnector",
}


@cache
def made(path: str) -> Connector:
    return import_string(path)()


def get_connector(name: str) -> Connector:
    """The connector of that name; raises `TerminalError` when there is none."""
    if name in CONNECTORS:
        return made(CONNECTORS[name])
    if (own := own_code.find(name)) is not None:
        return own
    raise TerminalError(
        f"There is no connector called “{name}”. Available: {', '.join(sorted(CONNECTORS))}.", kind="connector"
    )


def find_connector(name: str) -> Connector | None:
    """The connector of that name, None when there is none."""
    return get_connector(name) if name in CONNECTORS else own_code.find(name)


def all_connectors() -> list[Connector]:
    """Every connector, by label; of own code also the files that cannot run as they are."""
    shipped = [get_connector(name) for name in CONNECTORS]
    return sorted([*shipped, *own_code.find_all(CONNECTORS)], key=lambda connector: connector.label)


def label_of(name: str) -> str:
    """What people call the system; the bare name when there is no such connector."""
    return connector.label if (connector := find_connector(name)) else name


def fields_of(name: str) -> tuple[FormField, ...]:
    """The fields of the connector of that name; none when there is no such connector."""
    return connector.fields if (connector := find_connector(name)) else ()
