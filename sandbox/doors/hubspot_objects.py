"""CRM records as HubSpot shows them: every value a string, asked for by the name of its property."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.crm import DEAL_STAGES, LOST, TICKET_STAGES, WON, Contact, Deal, Owner, Record, Ticket
from sandbox.timeline import DAY, utc

PORTAL_ID = 24_150_917
#: Kind: (its name in the singular, its type id, the scope that reads it, the property that says when it was changed).
KINDS = {
    "contacts": ("contact", "0-1", "crm.objects.contacts.read", "lastmodifieddate"),
    "companies": ("company", "0-2", "crm.objects.companies.read", "hs_lastmodifieddate"),
    "deals": ("deal", "0-3", "crm.objects.deals.read", "hs_lastmodifieddate"),
    "tickets": ("ticket", "0-5", "tickets", "hs_lastmodifieddate"),
}
#: (from, to): [(type id, label)]; https://developers.hubspot.com/docs/guides/api/crm/associations/associations-v4
ASSOCIATION_TYPES: dict[tuple[str, str], list[tuple[int, str | None]]] = {
    ("contacts", "companies"): [(1, "Primary"), (279, None)],
    ("companies", "contacts"): [(2, "Primary"), (280, None)],
    ("deals", "contacts"): [(3, None)],
    ("contacts", "deals"): [(4, None)],
    ("deals", "companies"): [(5, "Primary"), (341, None)],
    ("companies", "deals"): [(6, "Primary"), (342, None)],
    ("tickets", "contacts"): [(16, None)],
    ("contacts", "tickets"): [(15, None)],
    ("tickets", "companies"): [(26, "Primary"), (339, None)],
    ("companies", "tickets"): [(25, "Primary"), (340, None)],
    ("tickets", "deals"): [(28, None)],
    ("deals", "tickets"): [(27, None)],
}
_PROBABILITY = {stage: probability for stage, _, probability in DEAL_STAGES}
_EXPECTED = 45 * DAY


def stamp(seconds: int) -> str:
    """A moment as HubSpot writes it: ``2024-10-20T19:50:46.000Z``."""
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True, slots=True)
class Property:
    """``type``: string, number, datetime, enumeration, bool. ``value``: of a record, None when it has none.

    ``rank``: the value as a number that can be compared, where a search has to be fast.
    """

    name: str
    label: str
    type: str
    value: Callable[[Any], str | None]
    is_custom: bool = False
    is_usual: bool = False
    rank: Callable[[Any], int] | None = None


def _owner(record: Record) -> str | None:
    return str(record.owner.id) if record.owner else None


def _merged(record: Record) -> str | None:
    return ";".join(map(str, record.merged)) or None


def _common(kind: str) -> list[Property]:
    return [
        Property(
            "createdate",
            "Create Date",
            "datetime",
            lambda r: stamp(r.created_at),
            is_usual=True,
            rank=lambda r: r.created_at * 1000,
        ),
        Property(
            KINDS[kind][3],
            "Last Modified Date",
            "datetime",
            lambda r: stamp(r.updated_at),
            is_usual=True,
            rank=lambda r: r.updated_at * 1000,
        ),
        Property("hs_object_id", "Record ID", "number", lambda r: str(r.id), is_usual=True, rank=lambda r: r.id),
        Property("hubspot_owner_id", "Owner", "enumeration", _owner),
        Property("hs_merged_object_ids", "Merged record IDs", "enumeration", _merged),
    ]


def _employer(contact: Contact) -> str | None:
    return str(contact.company.id) if contact.company and contact.company.archived_at is None else None


def _money(deal: Deal) -> str:
    return f"{deal.amount // 100}.{deal.amount % 100:02d}".removesuffix(".00")


def _days_to_close(deal: Deal) -> str | None:
    return str((deal.closed_at - deal.created_at) // DAY) if deal.closed_at else None


def _closed(ticket: Ticket) -> str | None:
    return stamp(ticket.closed_at) if ticket.closed_at else None


def _truth(value: bool) -> str:
    return "true" if value else "false"


P = Property
_PROPERTIES: dict[str, list[Property]] = {
    "contacts": [
        *_common("contacts"),
        P("email", "Email", "string", lambda c: c.email, is_usual=True),
        P("firstname", "First Name", "string", lambda c: c.first_name, is_usual=True),
        P("lastname", "Last Name", "string", lambda c: c.last_name, is_usual=True),
        P("jobtitle", "Job Title", "string", lambda c: c.job),
        P("phone", "Phone Number", "string", lambda c: None),
        P("company", "Company Name", "string", lambda c: c.company.name if c.company else None),
        P("country", "Country/Region", "string", lambda c: c.company.country if c.company else None),
        P("lifecyclestage", "Lifecycle Stage", "enumeration", lambda c: c.lifecycle),
        P("hs_lead_status", "Lead Status", "enumeration", lambda c: "NEW" if c.lifecycle == "lead" else None),
        P("hs_analytics_source", "Original Source", "enumeration", lambda c: c.source),
        P("associatedcompanyid", "Primary Associated Company ID", "number", _employer),
        P("newsletter_opt_in", "Newsletter", "bool", lambda c: _truth(c.id % 3 == 0), is_custom=True),
    ],
    "companies": [
        *_common("companies"),
        P("name", "Company name", "string", lambda c: c.name, is_usual=True),
        P("domain", "Company Domain Name", "string", lambda c: c.domain, is_usual=True),
        P("website", "Website URL", "string", lambda c: c.domain),
        P("industry", "Industry", "enumeration", lambda c: c.industry),
        P("country", "Country/Region", "string", lambda c: c.country),
        P("city", "City", "string", lambda c: None),
        P("numberofemployees", "Number of Employees", "number", lambda c: str(c.employees)),
        P("annualrevenue", "Annual Revenue", "number", lambda c: None),
        P("lifecyclestage", "Lifecycle Stage", "enumeration", lambda c: c.lifecycle),
        P("stripe_customer_id", "Stripe customer", "string", lambda c: c.stripe_customer, is_custom=True),
        P("product_plan", "Plan", "string", lambda c: c.plan, is_custom=True),
        P("subscription_status", "Subscription", "string", lambda c: c.subscription_status, is_custom=True),
    ],
    "deals": [
        *_common("deals"),
        P("dealname", "Deal Name", "string", lambda d: d.name, is_usual=True),
        P("dealstage", "Deal Stage", "enumeration", lambda d: d.stage, is_usual=True),
        P("pipeline", "Pipeline", "enumeration", lambda d: "default", is_usual=True),
        P("amount", "Amount", "number", _money, is_usual=True),
        P(
            "closedate",
            "Close Date",
            "datetime",
            lambda d: stamp(d.closed_at or d.created_at + _EXPECTED),
            is_usual=True,
        ),
        P("deal_currency_code", "Currency", "enumeration", lambda d: d.currency.upper()),
        P("dealtype", "Deal Type", "enumeration", lambda d: "newbusiness"),
        P("hs_is_closed", "Is Deal Closed?", "bool", lambda d: _truth(d.stage in (WON, LOST))),
        P("hs_is_closed_won", "Is Closed Won", "bool", lambda d: _truth(d.stage == WON)),
        P("hs_deal_stage_probability", "Deal probability", "number", lambda d: str(_PROBABILITY[d.stage])),
        P("closed_lost_reason", "Closed Lost Reason", "string", lambda d: d.lost_reason),
        P("closed_won_reason", "Closed Won Reason", "string", lambda d: None),
        P("days_to_close", "Days to Close", "number", _days_to_close),
        P("num_associated_contacts", "Number of contacts", "number", lambda d: str(len(d.contacts))),
        P("competitor", "Competitor", "string", lambda d: d.competitor, is_custom=True),
        P("expected_seats", "Seats", "number", lambda d: str(d.seats), is_custom=True),
    ],
    "tickets": [
        *_common("tickets"),
        P("subject", "Ticket name", "string", lambda t: t.subject, is_usual=True),
        P("content", "Ticket description", "string", lambda t: t.text, is_usual=True),
        P("hs_pipeline", "Pipeline", "enumeration", lambda t: "0", is_usual=True),
        P("hs_pipeline_stage", "Ticket status", "enumeration", lambda t: t.stage, is_usual=True),
        P("hs_ticket_priority", "Priority", "enumeration", lambda t: t.priority, is_usual=True),
        P("hs_ticket_category", "Category", "enumeration", lambda t: t.category, is_usual=True),
        P("source_type", "Source", "enumeration", lambda t: t.source),
        P("closed_date", "Close date", "datetime", _closed),
    ],
}
PROPERTIES = {kind: {each.name: each for each in listed} for kind, listed in _PROPERTIES.items()}


def draw(
    kind: str,
    record: Record,
    properties: Iterable[str] | None = None,
    with_history: Iterable[str] = (),
) -> dict[str, Any]:
    """A record with the usual properties, or with those that were asked for and the three that always come."""
    known = PROPERTIES[kind]
    with_history = [name for name in with_history if name in known]
    if properties is None:
        wanted = {name for name, each in known.items() if each.is_usual}
    else:
        wanted = {name for name in properties if name in known} | {"createdate", KINDS[kind][3], "hs_object_id"}
    body: dict[str, Any] = {
        "id": str(record.id),
        "properties": {name: known[name].value(record) for name in sorted({*wanted, *with_history})},
    }
    if with_history:
        body["propertiesWithHistory"] = {name: _history(record, known[name]) for name in with_history}
    body |= {
        "createdAt": stamp(record.created_at),
        "updatedAt": stamp(record.updated_at),
        "archived": record.archived_at is not None,
    }
    if record.archived_at is not None:
        body["archivedAt"] = stamp(record.archived_at)
    body["url"] = f"https://app.hubspot.com/contacts/{PORTAL_ID}/record/{KINDS[kind][1]}/{record.id}"
    return body


def _history(record: Record, known: Property) -> list[dict[str, Any]]:
    """All values a property had, the newest first; of others than the stage of a deal only the present one is known."""
    if isinstance(record, Deal) and known.name == "dealstage":
        return [
            {
                "value": stay.stage,
                "timestamp": stamp(stay.entered_at),
                "sourceType": "CRM_UI",
                "sourceId": f"userId:{stay.user_id}",
                "updatedByUserId": stay.user_id,
            }
            for stay in reversed(record.history)
        ]
    value = known.value(record)
    if value is None:
        return []
    return [{"value": value, "timestamp": stamp(record.updated_at), "sourceType": "INTEGRATION", "sourceId": "24150"}]


def definition(known: Property) -> dict[str, Any]:
    """A property as the properties API describes it."""
    field = {"string": "text", "number": "number", "datetime": "date", "bool": "booleancheckbox"}.get(known.type)
    return {
        "updatedAt": "2024-09-12T14:22:56.844Z",
        "createdAt": "2020-06-30T15:57:37.277Z",
        "name": known.name,
        "label": known.label,
        "type": known.type,
        "fieldType": field or "select",
        "description": "",
        "groupName": "tidewater" if known.is_custom else "information",
        "options": [],
        "displayOrder": -1,
        "calculated": False,
        "externalOptions": known.name == "hubspot_owner_id",
        "hasUniqueValue": False,
        "hidden": False,
        "hubspotDefined": not known.is_custom,
        "modificationMetadata": {
            "archivable": known.is_custom,
            "readOnlyDefinition": not known.is_custom,
            "readOnlyValue": False,
        },
        "formField": False,
        "dataSensitivity": "non_sensitive",
    }


def owner(record: Owner) -> dict[str, Any]:
    first, last = record.name.split(" ", 1)
    return {
        "id": str(record.id),
        "email": record.email,
        "type": "PERSON",
        "firstName": first,
        "lastName": last,
        "userId": None if record.archived else record.user_id,
        "userIdIncludingInactive": record.user_id,
        "createdAt": stamp(record.created_at),
        "updatedAt": stamp(record.updated_at),
        "archived": record.archived,
    }


def pipelines(kind: str, created_at: int) -> list[dict[str, Any]]:
    """The pipelines of deals or tickets with their stages; the company has one of each."""
    moments = {"createdAt": stamp(created_at), "updatedAt": stamp(created_at)}
    stages: list[tuple[str, str, dict[str, str]]]
    if kind == "deals":
        name, label = "default", "Sales Pipeline"
        stages = [
            (stage, text, {"isClosed": _truth(stage in (WON, LOST)), "probability": str(probability)})
            for stage, text, probability in DEAL_STAGES
        ]
    else:
        name, label = "0", "Support Pipeline"
        stages = [
            (stage, text, {"isClosed": _truth(done), "ticketState": "CLOSED" if done else "OPEN"})
            for stage, text, done in TICKET_STAGES
        ]
    return [
        {
            "label": label,
            "displayOrder": 0,
            "id": name,
            "stages": [
                {
                    "label": text,
                    "displayOrder": order,
                    "metadata": metadata,
                    "id": stage,
                    **moments,
                    "archived": False,
                    "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
                }
                for order, (stage, text, metadata) in enumerate(stages)
            ],
            **moments,
            "archived": False,
        }
    ]


def association_types(source: str, target: str) -> list[dict[str, Any]]:
    return [
        {"category": "HUBSPOT_DEFINED", "typeId": number, "label": label}
        for number, label in ASSOCIATION_TYPES[source, target]
    ]


def milliseconds(text: str) -> int:
    """A date in a filter: milliseconds since 1970, or ISO 8601."""
    if text.lstrip("-").isdigit():
        return int(text)
    moment = dt.datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
