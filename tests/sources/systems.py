"""A system that does not exist, so that forms, probes and imports can be tested without one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sources.connectors.base import Column, FieldKind, FormField, StreamRequest, StreamSpec, SyncMode

ORDERS = StreamSpec(
    "orders",
    "Orders",
    "One row per order.",
    primary_key=("id",),
    cursor_fields=("updated_at", "created_at"),
    columns=(Column("id", "bigint"), Column("updated_at", "timestamp"), Column("created_at", "timestamp")),
)
LABELS = StreamSpec("labels", "Labels", primary_key=("name",), sync_modes=(SyncMode.FULL_REFRESH,))
NOTES = StreamSpec("notes", "Notes", cursor_fields=("written_at",), columns=(Column("number"), Column("written_at")))


class ShopConnector:
    """Has the same streams for everybody."""

    name = "shop"
    label = "Shop"
    summary = "Orders of a shop."
    fields = (
        FormField("api_key", "Secret key", "From the shop's settings.", FieldKind.SECRET, placeholder="key_…"),
        FormField("hook_secret", "Hook secret", "Only when hooks are used.", FieldKind.SECRET, required=False),
        FormField("shop", "Shop name", "As in the address.", placeholder="acme"),
        FormField("pages", "Rows a page", "How many at once.", FieldKind.INTEGER, required=False, default=100),
        FormField("regions", "Regions", "One a line.", FieldKind.LIST, required=False),
        FormField("plan", "Plan", "Which one you have.", FieldKind.CHOICE, choices=(("s", "Small"), ("l", "Large"))),
        FormField("archived", "Archived too", "Old orders as well.", FieldKind.BOOLEAN, required=False),
        FormField(
            "base_url",
            "API base URL",
            "Leave it.",
            FieldKind.URL,
            required=False,
            default="https://api.shop.example",
            is_advanced=True,
        ),
    )
    permissions = ("Orders: Read",)
    setup_help = "Open the shop's settings and make a key."
    streams: tuple[StreamSpec, ...] = (ORDERS, LABELS, NOTES)
    reads_back = "every order changed"

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        return moment.isoformat()


class DepotConnector:
    """What there is to read depends on the account."""

    name = "depot"
    label = "Depot"
    summary = "Tables of a depot."
    fields = (
        FormField("host", "Host", "Its name."),
        FormField("password", "Password", "Kept encrypted.", FieldKind.SECRET),
    )
    permissions = ()
    setup_help = ""
    streams: tuple[StreamSpec, ...] = ()


class FakeEngine:
    """Answers as it is told; remembers the settings it was given."""

    def __init__(self) -> None:
        self.sentence = "Connected to the shop “acme”."
        self.offered: list[StreamSpec] = [ORDERS, LABELS]
        self.error: BaseException | None = None
        self.seen: list[Mapping[str, Any]] = []

    def check(self, connector: str, settings: Mapping[str, Any]) -> str:
        self.seen.append(dict(settings))
        if self.error:
            raise self.error
        return self.sentence

    def discover(self, connector: str, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return self.offered
