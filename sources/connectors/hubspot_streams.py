"""What HubSpot offers: each stream's columns and the scope that its private app needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal.failures import TerminalError
from sources.connectors.base import Column, StreamSpec, SyncMode
from sources.connectors.shape import EXTRA

C = Column
WHOLE = (SyncMode.FULL_REFRESH,)

CONTACTS, COMPANIES, DEALS = (f"crm.objects.{kind}.read" for kind in ("contacts", "companies", "deals"))
TICKETS, OWNERS = "tickets", "crm.objects.owners.read"


def _properties(**types: str) -> tuple[C, ...]:
    return tuple(C(name, kind, f"properties.{name}") for name, kind in types.items())


ID = C("id")
# `merged_into_id`: this record has become part of that one and is no more.
ENDS = (
    C("created_at", "timestamp", "createdAt"),
    C("updated_at", "timestamp", "updatedAt"),
    C("archived", "bool"),
    C("archived_at", "timestamp", "archivedAt"),
    C("merged_into_id"),
    EXTRA,
)
_ALSO_GONE = "Deleted and merged ones stay, with archived = true."

STREAMS: tuple[StreamSpec, ...] = (
    StreamSpec(
        name="contacts",
        label="Contacts",
        description=f"One row per contact. {_ALSO_GONE}",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            ID,
            *_properties(email="text", firstname="text", lastname="text", jobtitle="text", phone="text"),
            *_properties(company="text", country="text", lifecyclestage="text", hs_lead_status="text"),
            *_properties(hs_analytics_source="text", associatedcompanyid="text", hubspot_owner_id="text"),
            *ENDS,
        ),
        permission=CONTACTS,
    ),
    StreamSpec(
        name="companies",
        label="Companies",
        description=f"One row per company. {_ALSO_GONE}",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            ID,
            *_properties(name="text", domain="text", industry="text", country="text", city="text"),
            *_properties(numberofemployees="bigint", annualrevenue="decimal", lifecyclestage="text"),
            *_properties(hubspot_owner_id="text"),
            *ENDS,
        ),
        permission=COMPANIES,
    ),
    StreamSpec(
        name="deals",
        label="Deals",
        description=f"One row per deal, in the stage it is in now. {_ALSO_GONE}",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            ID,
            *_properties(dealname="text", amount="decimal", deal_currency_code="text", dealtype="text"),
            *_properties(pipeline="text", dealstage="text", hs_deal_stage_probability="double"),
            *_properties(closedate="timestamp", hs_is_closed="bool", hs_is_closed_won="bool"),
            *_properties(closed_won_reason="text", closed_lost_reason="text", hubspot_owner_id="text"),
            *ENDS,
        ),
        permission=DEALS,
    ),
    StreamSpec(
        name="deal_stage_history",
        label="Stage history of deals",
        description="One row for every time that a deal came into a stage, oldest first.",
        primary_key=("deal_id", "position"),
        cursor_fields=("entered_at",),
        columns=(
            *(C("deal_id"), C("position", "bigint"), C("stage_id", "text", "value")),
            *(C("entered_at", "timestamp", "timestamp"), C("left_at", "timestamp")),
            *(C("source_type", "text", "sourceType"), C("updated_by_user_id", "text", "updatedByUserId")),
            EXTRA,
        ),
        permission=DEALS,
        comes_with="deals",
        owner_key=("deal_id",),
    ),
    StreamSpec(
        name="tickets",
        label="Tickets",
        description=f"One row per ticket. {_ALSO_GONE}",
        primary_key=("id",),
        cursor_fields=("updated_at",),
        columns=(
            ID,
            *_properties(subject="text", content="text", hs_pipeline="text", hs_pipeline_stage="text"),
            *_properties(hs_ticket_priority="text", hs_ticket_category="text", source_type="text"),
            *_properties(closed_date="timestamp", hubspot_owner_id="text"),
            *ENDS,
        ),
        permission=TICKETS,
    ),
    StreamSpec(
        name="owners",
        label="Owners",
        description="One row per person who can own a record; those who left have archived = true.",
        primary_key=("id",),
        sync_modes=WHOLE,
        columns=(
            *(ID, C("email"), C("type"), C("first_name", "text", "firstName"), C("last_name", "text", "lastName")),
            C("user_id", "text", "userId|userIdIncludingInactive"),
            *ENDS[:3],
            EXTRA,
        ),
        permission=OWNERS,
    ),
    StreamSpec(
        name="pipelines",
        label="Pipelines",
        description="One row per pipeline of deals or tickets.",
        primary_key=("object_type", "id"),
        sync_modes=WHOLE,
        columns=(
            *(C("object_type"), ID, C("label"), C("display_order", "bigint", "displayOrder")),
            *ENDS[:3],
            EXTRA,
        ),
        permission=f"{DEALS}, {TICKETS}",
    ),
    StreamSpec(
        name="pipeline_stages",
        label="Pipeline stages",
        description="One row per stage of a pipeline, with the probability of winning for deals.",
        primary_key=("object_type", "pipeline_id", "id"),
        sync_modes=WHOLE,
        columns=(
            *(C("object_type"), C("pipeline_id"), ID, C("label"), C("display_order", "bigint", "displayOrder")),
            *(C("probability", "double", "metadata.probability"), C("is_closed", "bool", "metadata.isClosed")),
            *ENDS[:3],
            EXTRA,
        ),
        permission=f"{DEALS}, {TICKETS}",
        comes_with="pipelines",
    ),
    StreamSpec(
        name="associations",
        label="Associations",
        description="One row for every tie between two records (contact and company, deal and contact, …) and its kind; "
        "those of deleted records go within a day.",
        primary_key=("from_type", "from_id", "to_type", "to_id", "category", "type_id"),
        cursor_fields=("from_updated_at",),
        columns=(
            *(C("from_type"), C("from_id"), C("to_type"), C("to_id", "text", "toObjectId")),
            *(C("category"), C("type_id", "bigint", "typeId"), C("label"), C("from_updated_at", "timestamp")),
        ),
        permission=f"{CONTACTS}, {DEALS}, {TICKETS}",
        owner_key=("from_type", "from_id", "to_type"),
    ),
)
SPECS = {spec.name: spec for spec in STREAMS}


@dataclass(frozen=True)
class Kind:
    """A kind of CRM object: its scope, the property that says when it was changed, and what it is tied to."""

    name: str
    scope: str
    modified: str
    tied_to: tuple[str, ...] = ()


KINDS = {
    "contacts": Kind("contacts", CONTACTS, "lastmodifieddate", ("companies",)),
    "companies": Kind("companies", COMPANIES, "hs_lastmodifieddate"),
    "deals": Kind("deals", DEALS, "hs_lastmodifieddate", ("companies", "contacts")),
    "tickets": Kind("tickets", TICKETS, "hs_lastmodifieddate", ("companies", "contacts", "deals")),
}
# Said elsewhere in the same object, or read as rows of another stream.
OMIT = (
    *(f"properties.{name}" for name in ("hs_object_id", "createdate", "hs_createdate", "hs_merged_object_ids")),
    *(f"properties.{name}" for name in ("lastmodifieddate", "hs_lastmodifieddate")),
    *("propertiesWithHistory", "associations", "url"),
)
_TYPES = {
    name: {
        column.path.removeprefix("properties."): column.type for column in spec.columns if "properties." in column.path
    }
    for name, spec in SPECS.items()
}


def asked_for(kind: str, definitions: Iterable[Mapping[str, Any]]) -> list[str]:
    """The properties to read: those with a column, and all that people see or made themselves.

    What HubSpot hides is for its own use; what it calls sensitive needs scopes of its own. Raises `TerminalError` when a
    definition has no name: values would be left out in silence.
    """
    definitions = list(definitions)
    if not all(isinstance(each.get("name"), str) for each in definitions):
        raise TerminalError(
            f"HubSpot describes its properties of {kind} in a way that we do not know. Nothing was read.",
            f"GET crm/v3/properties/{kind}: a definition without a name",
            kind="shape",
        )
    shown = {
        each["name"]
        for each in definitions
        if not each.get("hidden") and each.get("dataSensitivity", "non_sensitive") == "non_sensitive"
    }
    return sorted(shown | set(_TYPES[kind]) | {"hs_merged_object_ids"})


def readable(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """The object with typed properties: HubSpot sends text, and "" where nothing is."""
    types = _TYPES[kind]
    properties = {
        name: _typed(value, types.get(name, "text"))
        for name, value in item.get("properties", {}).items()
        if value is not None and value != ""
    }
    return {**item, "properties": properties}


def _typed(value: Any, kind: str) -> Any:
    if kind == "bool" and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    if kind == "timestamp" and isinstance(value, str) and value.lstrip("-").isdigit():
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    if kind == "bigint" and isinstance(value, str) and "." in value:
        return float(value)
    return value


def stays(history: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The stages a deal was in, oldest first, with the moment it left them; saving the same stage again is no move."""
    found: list[dict[str, Any]] = []
    for each in sorted(history, key=lambda version: moment_of(version["timestamp"])):
        before = found[-1] if found else None
        if before is not None and before["value"] == each["value"]:
            continue
        if before is not None:
            before["left_at"] = each["timestamp"]
        found.append(dict(each))
    return [{**stay, "position": number} for number, stay in enumerate(found, 1)]


def moment_of(text: Any) -> int:
    """Milliseconds since 1970 of a time as HubSpot writes it."""
    if isinstance(text, int) or str(text).isdigit():
        return int(text)
    moment = datetime.fromisoformat(str(text))
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
