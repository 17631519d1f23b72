"""A connector whose pages a test writes down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sources.connectors.base import Column, FieldKind, FormField, Page, StreamRequest, StreamSpec

COLUMNS = (
    Column("id"),
    Column("name"),
    Column("amount", "bigint"),
    Column("at", "timestamp"),
    Column("_extra", "json"),
)


class FakeConnector:
    """`pages[stream]` is a list of pages, or a callable that takes `since` and yields them; exceptions are raised."""

    name = "fake"
    label = "Fake"
    summary = "For tests."
    fields = (FormField("token", "Token", "Any.", FieldKind.SECRET),)
    permissions: tuple[str, ...] = ()
    setup_help = ""
    reads_back = "what was made"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.streams: tuple[StreamSpec, ...] = tuple(
            StreamSpec(name, primary_key=("id",), cursor_fields=("at",), columns=COLUMNS) for name in ("a", "b", "c")
        )
        self.pages: dict[str, Any] = {}
        self.asked: list[tuple[StreamRequest, Any]] = []
        self.can_reach_back = True

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        return {"since": since, "back_to": moment.date().isoformat()} if self.can_reach_back else None

    def check(self, settings: Mapping[str, Any]) -> str:
        return "Connected."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return list(self.streams)

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        self.asked.append((stream, since))
        script = self.pages.get(stream.name, [])
        for page in script(since) if isinstance(script, Callable) else script:  # type: ignore[arg-type]
            if isinstance(page, BaseException):
                raise page
            yield page


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"id": f"id_{number}", "name": f"name {number}", "amount": number, "at": None, "_extra": None, **values}
