"""The sandbox company's CRM, support desk and product as raw rows: API objects through the connectors' own shapes, no HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.company import Company
from sandbox.doors import hubspot_objects
from sandbox.doors.intercom_objects import IntercomWriter
from sandbox.timeline import utc
from sources.connectors.hubspot import _stage
from sources.connectors.hubspot_associations import TIED, tie_rows
from sources.connectors.hubspot_streams import OMIT, SPECS, asked_for, readable, stays
from sources.connectors.intercom import OMIT as INTERCOM_OMIT
from sources.connectors.intercom import PARTS, _derived, _lists
from sources.connectors.intercom import SPECS as INTERCOM_SPECS
from sources.connectors.shape import Shape

Rows = dict[str, list[dict[str, Any]]]


def hubspot_rows(company: Company) -> Rows:
    """Rows by raw table, as a full sync would write them now; deleted records stay, however long ago it was."""
    rows = {name: _objects(company, name) for name in ("contacts", "companies", "deals", "tickets")}
    history = Shape(SPECS["deal_stage_history"])
    rows["deal_stage_history"] = [
        history.row(stay, deal_id=str(deal.id))
        for deal in company.sales.crm.deals.values()
        for stay in stays(hubspot_objects.draw("deals", deal, (), ["dealstage"])["propertiesWithHistory"]["dealstage"])
    ]
    owners = Shape(SPECS["owners"])
    rows["owners"] = [owners.row(hubspot_objects.owner(each)) for each in company.sales.crm.owners.values()]
    pipelines, stages = Shape(SPECS["pipelines"], omit=("stages",)), Shape(SPECS["pipeline_stages"])
    drawn = [(kind, each) for kind in ("deals", "tickets") for each in hubspot_objects.pipelines(kind, company.start)]
    rows["pipelines"] = [pipelines.row(each, object_type=kind) for kind, each in drawn]
    rows["pipeline_stages"] = [
        stages.row(_stage(stage), object_type=kind, pipeline_id=each["id"])
        for kind, each in drawn
        for stage in each["stages"]
    ]
    rows["associations"] = list(_ties(company))
    return {f"raw_hubspot.{name}": table for name, table in rows.items()}


def _objects(company: Company, kind: str) -> list[dict[str, Any]]:
    shape = Shape(SPECS[kind], omit=OMIT)
    names = asked_for(kind, [hubspot_objects.definition(each) for each in hubspot_objects.PROPERTIES[kind].values()])
    found = []
    for record in company.sales.crm.records(kind).values():
        item = hubspot_objects.draw(kind, record, names)
        found.append(shape.row(readable(kind, item), merged_into_id=None))
        found += [
            shape.row({"id": str(former), "archived": True}, merged_into_id=str(record.id)) for former in record.merged
        ]
    return found


def _ties(company: Company) -> Iterator[dict[str, Any]]:
    crm = company.sales.crm
    for kind, tied in TIED.items():
        for record in crm.records(kind).values():
            if record.archived_at is not None:
                continue
            for target in tied.tied_to:
                types = hubspot_objects.association_types(kind, target)
                ties = [{"toObjectId": other.id, "associationTypes": types} for other in crm.associated(record, target)]
                yield from tie_rows(kind, str(record.id), target, ties, record.updated_at * 1000)


def intercom_rows(company: Company) -> Rows:
    """Rows by raw table, as a full sync would write them now."""
    write, support = IntercomWriter(company.support, company.seed), company.support
    shapes = {name: Shape(spec, omit=INTERCOM_OMIT[name]) for name, spec in INTERCOM_SPECS.items()}
    people = [write.contact(user) for user in company.product.users.values() if user.deleted_at is None]
    firms = [write.company(workspace) for workspace in company.product.workspaces.values()]
    whole = [write.whole_conversation(each) for each in support.conversations.values()]
    rows = {
        "contacts": [shapes["contacts"].row(each, **_lists(each)) for each in people],
        "companies": [shapes["companies"].row(each, **_lists(each)) for each in firms],
        "conversations": [shapes["conversations"].row(each, **_derived(each)) for each in whole],
        PARTS: [shapes[PARTS].row(part, conversation_id=each["id"]) for each in whole for part in each[PARTS][PARTS]],
        "tags": [shapes["tags"].row(each) for each in write.tags()],
        "teams": [shapes["teams"].row(write.team())],
        "admins": [shapes["admins"].row(write.admin(each)) for each in support.admins],
    }
    return {f"raw_intercom.{name}": table for name, table in rows.items()}


def product_rows(company: Company) -> Rows:
    """Workspaces and users of the product's PostgreSQL; what they did is left out."""

    def moments(record: Any, *names: str) -> dict[str, Any]:
        return {name: utc(moment) if (moment := getattr(record, name)) is not None else None for name in names}

    return {
        "raw_postgres.workspaces": [
            {
                **{
                    name: getattr(each, name)
                    for name in ("id", "name", "plan", "stripe_customer_id", "seats", "mrr_note")
                },
                "settings": "{}",
                **moments(each, "created_at", "updated_at"),
            }
            for each in company.product.workspaces.values()
        ],
        "raw_postgres.users": [
            {
                **{name: getattr(each, name) for name in ("id", "email", "name", "role")},
                "workspace_id": each.workspace.id,
                **moments(each, "created_at", "updated_at", "last_seen_at", "deleted_at"),
            }
            for each in company.product.users.values()
        ],
    }
