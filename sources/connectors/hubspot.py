"""HubSpot over its REST API (CRM v3, associations v4), with the token of a private app.

| streams                                     | how they are read                                                       |
|---------------------------------------------|-------------------------------------------------------------------------|
| contacts, companies, deals, tickets         | everything once, then what changed: see `hubspot_objects`                |
| deal_stage_history                          | comes with the deals: all values that `dealstage` ever had               |
| owners, pipelines, pipeline_stages          | whole every time: they are few, and the API has no filter                |
| associations                                | whole once a day, those of changed records in between                    |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from portal.failures import TerminalError
from portal.redact import secrets_hidden
from sources.connectors import hubspot_associations, hubspot_objects
from sources.connectors.base import FieldKind, FormField, Page, StreamRequest, StreamSpec
from sources.connectors.hubspot_client import EDIT_THE_APP, RATE_LIMITS, HubSpotClient, client_of, lacks
from sources.connectors.hubspot_objects import PAGE, ObjectReader
from sources.connectors.hubspot_streams import DEALS, KINDS, OWNERS, SPECS, STREAMS, TICKETS
from sources.connectors.shape import Shape

CHECK_TRIES = 2

HELP = (
    "The access token of a private app; it begins with pat-. The app needs no more than read access. "
    "The token is stored encrypted and never shown again."
)


class HubSpotConnector:
    name = "hubspot"
    label = "HubSpot"
    summary = "Contacts, companies, deals with their stage history, and tickets from your HubSpot CRM."
    fields = (
        FormField("access_token", "Access token", HELP, FieldKind.SECRET, placeholder="pat-na1-…"),
        FormField(
            "base_url",
            "API base URL",
            "Leave this as it is, unless your company reaches HubSpot through a proxy.",
            FieldKind.URL,
            required=False,
            default="https://api.hubapi.com",
            is_advanced=True,
        ),
    )
    permissions = (*(kind.scope for kind in KINDS.values()), OWNERS)
    setup_help = (
        "In HubSpot, open Settings › Integrations › Private Apps and create an app. Under Scopes, add "
        "crm.objects.contacts.read, crm.objects.companies.read, crm.objects.deals.read, crm.objects.owners.read and "
        "tickets. Create the app, show its access token, and paste it here."
    )
    rate_limits = RATE_LIMITS
    streams: tuple[StreamSpec, ...] = STREAMS
    reads_back = "everything changed"

    def check(self, settings: Mapping[str, Any]) -> str:
        with secrets_hidden([settings.get("access_token", "")]), client_of(settings, tries=CHECK_TRIES) as client:
            account = client.get("account-info/v3/details")
            assert account is not None
            named = f"HubSpot account {account.body['portalId']}"
            missing: dict[str, str] = {}
            probes = [(kind.scope, f"crm/v3/objects/{kind.name}") for kind in KINDS.values()]
            for scope, path in (*probes, (OWNERS, "crm/v3/owners")):
                try:
                    client.get(path, {"limit": 1})
                except TerminalError as error:
                    if error.kind != "forbidden":
                        raise
                    missing[scope] = error.detail
            if missing:
                raise TerminalError(
                    f"The token works ({named}), but its private app lacks the scopes: {', '.join(missing)}. "
                    f"{EDIT_THE_APP}, tick them and save.",
                    "\n".join(missing.values()),
                    kind="forbidden",
                )
        return f"Connected to {named}. The private app may read everything that is needed."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return list(STREAMS)

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        back = round(moment.timestamp() * 1000)
        if stream.name == "associations":
            return hubspot_associations.cursor_from(since, back)
        return hubspot_objects.cursor_from(since, back)

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        if stream.name not in SPECS:
            raise TerminalError(f"HubSpot has no stream called “{stream.name}”.", kind="stream")
        with secrets_hidden([settings.get("access_token", "")]), client_of(settings) as client:
            match stream.name:
                case "owners":
                    yield from _owners(client)
                case "pipelines" | "pipeline_stages":
                    yield from _pipelines(client, (stream.name, *stream.along))
                case "associations":
                    yield from hubspot_associations.pages(client, since)
                case _:
                    yield from ObjectReader(client, stream).pages(since)


def _owners(client: HubSpotClient) -> Iterator[Page]:
    shape = Shape(SPECS["owners"])
    for archived in ("false", "true"):
        params: dict[str, Any] = {"archived": archived, "limit": PAGE}
        while True:
            answer = client.get("crm/v3/owners", params, forbidden=lacks("owners", OWNERS))
            assert answer is not None
            yield Page([shape.row(item) for item in answer.body["results"]])
            following = ((answer.body.get("paging") or {}).get("next") or {}).get("after")
            if not following or following == params.get("after"):
                break
            params["after"] = following


def _pipelines(client: HubSpotClient, wanted: tuple[str, ...]) -> Iterator[Page]:
    shape = Shape(SPECS["pipelines"], omit=("stages",))
    stage_shape = Shape(SPECS["pipeline_stages"])
    for kind, scope in (("deals", DEALS), ("tickets", TICKETS)):
        answer = client.get(f"crm/v3/pipelines/{kind}", forbidden=lacks(f"pipelines of {kind}", scope))
        assert answer is not None
        pipelines = answer.body["results"]
        if "pipelines" in wanted:
            yield Page([shape.row(item, object_type=kind) for item in pipelines], stream="pipelines")
        if "pipeline_stages" in wanted:
            rows = [
                stage_shape.row(_stage(stage), object_type=kind, pipeline_id=item["id"])
                for item in pipelines
                for stage in item.get("stages") or []
            ]
            yield Page(rows, stream="pipeline_stages")


def _stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(stage.get("metadata") or {})
    if isinstance(metadata.get("isClosed"), str):
        metadata["isClosed"] = metadata["isClosed"].lower() == "true"
    return {**stage, "metadata": metadata}
