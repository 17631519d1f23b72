"""Any REST API that answers with JSON: set up in a form, no code.

Each endpoint is a stream. Its columns are learned when it is looked at (`rest_preview`) and kept with the stream;
every read keeps to them. Only GET is used. The cursor: {"value": the newest moment seen in the cursor field}; the next
read asks from a little before it, and never from later than the time the last read began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from portal.failures import PortalError, TerminalError, TransientError
from sources.connectors.base import (
    FieldKind,
    FormField,
    Page,
    RateLimit,
    Sample,
    StreamRequest,
    StreamSpec,
    SyncMode,
)
from sources.connectors.rest_auth import RestClient, rest_client
from sources.connectors.rest_columns import moment_of, without_blanks
from sources.connectors.rest_endpoints import Endpoint, endpoints_of
from sources.connectors.rest_pages import pages
from sources.connectors.rest_paths import at, steps
from sources.connectors.rest_preview import look
from sources.connectors.shape import Shape

PAGE_ROWS = 5_000
CHECK_TRIES = 2
# A failure of one endpoint only; anything else is the whole API's.
OF_ONE_ENDPOINT = {"not_found", "forbidden", "refused", "not_json", "records", "paging", "too_large", "server_error"}

AUTH_CHOICES = (
    ("none", "No log-in"),
    ("bearer", "Bearer token"),
    ("header", "API key in a header"),
    ("query", "API key in the address"),
    ("basic", "User name and password"),
    ("oauth2", "OAuth2 client credentials"),
)


class RestConnector:
    name = "rest"
    label = "REST API"
    summary = "Any other system with an API that answers in JSON. You say where the rows are; nothing is programmed."
    fields = (
        FormField(
            "base_url",
            "Base URL",
            "What all addresses of this API begin with, as its documentation says it. Addresses inside the company's "
            "network must be allowed by an administrator first.",
            FieldKind.URL,
            placeholder="https://api.example.com/v1",
        ),
        FormField(
            "auth",
            "Log-in",
            "How the API wants to know who is asking. Its documentation calls this “authentication”.",
            FieldKind.CHOICE,
            default="bearer",
            choices=AUTH_CHOICES,
        ),
        FormField(
            "token",
            "Token",
            "Sent as “Authorization: Bearer …”. Stored encrypted and never shown again.",
            FieldKind.SECRET,
            only_for=("auth", ("bearer",)),
        ),
        FormField(
            "key_name",
            "Name of the key",
            "The header or the parameter that carries the key, for example X-API-Key or api_key.",
            placeholder="X-API-Key",
            only_for=("auth", ("header", "query")),
        ),
        FormField(
            "api_key",
            "API key",
            "Stored encrypted and never shown again.",
            FieldKind.SECRET,
            only_for=("auth", ("header", "query")),
        ),
        FormField(
            "username", "User name", "For example the e-mail address of the account.", only_for=("auth", ("basic",))
        ),
        FormField(
            "password",
            "Password",
            "Stored encrypted and never shown again. Leave it empty if the API takes a key as the user name alone.",
            FieldKind.SECRET,
            required=False,
            only_for=("auth", ("basic",)),
        ),
        FormField(
            "token_url",
            "Token address",
            "Where a client ID and secret are exchanged for a token.",
            FieldKind.URL,
            placeholder="https://login.example.com/oauth/token",
            only_for=("auth", ("oauth2",)),
        ),
        FormField("client_id", "Client ID", "From the API's developer settings.", only_for=("auth", ("oauth2",))),
        FormField(
            "client_secret",
            "Client secret",
            "Stored encrypted and never shown again.",
            FieldKind.SECRET,
            only_for=("auth", ("oauth2",)),
        ),
        FormField(
            "scope",
            "Scope",
            "What the token is for, with spaces between. Only if the documentation names one.",
            required=False,
            placeholder="read:deals read:contacts",
            only_for=("auth", ("oauth2",)),
        ),
        FormField(
            "client_auth",
            "Send ID and secret",
            "Try the other one if the token address refuses a secret that you know is right.",
            FieldKind.CHOICE,
            required=False,
            default="basic",
            choices=(("basic", "As user name and password (usual)"), ("body", "In the body of the request")),
            only_for=("auth", ("oauth2",)),
        ),
        FormField(
            "headers",
            "Other headers",
            "One a line, as “Name: value”; for example “Accept-Version: 2024-01”. Nothing secret: these are shown to "
            "everybody who may see this source.",
            FieldKind.LIST,
            required=False,
            placeholder="Accept-Version: 2024-01",
            is_advanced=True,
        ),
        FormField(
            "calls_per_minute",
            "At most so many requests a minute",
            "Only if the documentation names a limit. We also wait by ourselves whenever the API asks for it.",
            FieldKind.INTEGER,
            required=False,
            placeholder="60",
            is_advanced=True,
        ),
    )
    permissions = ("Read access to the addresses you name; nothing is ever written",)
    setup_help = (
        "Have the API's documentation at hand: it names the base URL, the kind of log-in, and for each list of things "
        "an address such as /deals. Enter these below, press “Test and preview”, and look at the first rows before you "
        "save."
    )
    rate_limits: tuple[RateLimit, ...] = ()
    streams: tuple[StreamSpec, ...] = ()

    reads_back = "what was changed"

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        """The cursor that makes a read bring everything from `moment` (UTC) on."""
        kept = _kept(since)
        return {"value": min(moment, kept).isoformat()} if kept and stream.cursor_field else None

    def check(self, settings: Mapping[str, Any]) -> str:
        endpoint = endpoints_of(settings)[0]
        with rest_client(settings, tries=CHECK_TRIES) as client:
            try:
                next(pages(client, endpoint, endpoint.since_params(None)), None)
            except PortalError as error:
                if error.kind not in OF_ONE_ENDPOINT:
                    raise
            return f"Connected to {client.system}."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        """Every endpoint with a sample; one that cannot be read as it is set up says why in its sample's `error`."""
        found = []
        with rest_client(settings, tries=CHECK_TRIES) as client:
            for endpoint in endpoints_of(settings):
                try:
                    columns, sample = look(client, endpoint)
                except PortalError as error:
                    if error.kind not in OF_ONE_ENDPOINT:
                        raise
                    columns, sample = (), Sample(error=explained(error, endpoint, client).sentence)
                found.append(replace(endpoint.spec(columns), sample=replace(sample, columns=endpoint.typed(columns))))
        return found

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        endpoint = next((each for each in endpoints_of(settings) if each.name == stream.name), None)
        if endpoint is None:
            raise TerminalError(
                f"The endpoint “{stream.name}” is not in the source's settings any more. Untick it, or add it again.",
                kind="stream",
            )
        if not stream.columns:
            raise TerminalError(
                f"Nobody has looked at the endpoint “{stream.name}” yet, so its columns are not known. Open the source "
                "and press “Test and preview”.",
                kind="columns",
            )
        with rest_client(settings) as client:
            try:
                yield from _Reading(client, endpoint, stream).pages(since)
            except PortalError as error:
                raise explained(error, endpoint, client) from error


class _Reading:
    """One read of one endpoint."""

    def __init__(self, client: RestClient, endpoint: Endpoint, request: StreamRequest) -> None:
        self.client = client
        self.endpoint = endpoint
        self.columns = endpoint.typed(request.columns)
        self.shape = Shape(StreamSpec(endpoint.name, columns=self.columns))
        self.is_incremental = request.sync_mode is SyncMode.INCREMENTAL and endpoint.is_incremental
        # An empty text where a time or a number belongs is how many APIs say "nothing".
        self.blank = [
            steps(column.path or column.name) for column in self.columns if column.type not in {"text", "json"}
        ]

    def pages(self, since: Any) -> Iterator[Page]:
        from sources.connectors.arrow import table_of

        began = datetime.now(UTC)
        newest: datetime | None = None
        rows: list[dict[str, Any]] = []
        count = 0
        for page in pages(
            self.client, self.endpoint, self.endpoint.since_params(since if self.is_incremental else None)
        ):
            for record in page.records:
                rows.append(self.shape.row(without_blanks(record, self.blank)))
                if self.is_incremental and (moment := moment_of(at(record, self.endpoint.cursor_field))):
                    newest = max(newest or moment, moment)
            count += len(page.records)
            if len(rows) >= PAGE_ROWS:
                yield self._page(rows, table_of)
                rows = []
        yield self._page(rows, table_of)
        if not self.is_incremental:
            return
        if count and newest is None:
            raise TerminalError(
                f"No row of the endpoint “{self.endpoint.name}” has a time in “{self.endpoint.cursor_field}”, so what is "
                "new could not be told. Nothing was loaded from it. Check the field under “Only what is new”.",
                kind="cursor",
            )
        # A row from the future must not hide what happens until then.
        kept = max(filter(None, [min(newest, began) if newest else None, _kept(since)]), default=None)
        yield Page([], cursor={"value": kept.isoformat()} if kept else None)

    def _page(self, rows: list[dict[str, Any]], table_of: Any) -> Page:
        missing = [name for name in self.endpoint.key_columns if any(row.get(name) is None for row in rows)]
        if missing:
            raise TerminalError(
                f"The endpoint “{self.endpoint.name}” has rows without {', '.join(f'“{name}”' for name in missing)}, "
                "which should tell rows apart. Nothing was loaded from it. Check “A row is known by”.",
                kind="primary_key",
            )
        try:
            return Page(table_of(rows, self.columns))
        except (ValueError, TypeError, OverflowError) as error:
            raise TerminalError(
                f"The endpoint “{self.endpoint.name}” sent a value that does not fit its column. Nothing was loaded "
                "from it.",
                repr(error),
                kind="shape",
            ) from error


def _kept(since: Any) -> datetime | None:
    return datetime.fromisoformat(since["value"]) if since else None


def explained(error: PortalError, endpoint: Endpoint, client: RestClient) -> PortalError:
    """The same failure, said with the name of the endpoint and what to look at."""
    name, host = f"The endpoint “{endpoint.name}”", client.system
    sentences = {
        "not_found": f"{name}: {host} has nothing at “{endpoint.path}” (404). Check the path.",
        "forbidden": f"{name}: the log-in may not read “{endpoint.path}” at {host} (403). Give it that permission.",
        "refused": f"{name}: {host} refused the request. Check the path and the fixed parameters.",
        "shape": f"{error.sentence} If the column is meant to hold such values, say so under “Types set by hand”.",
    }
    sentence = sentences.get(error.kind)
    if sentence is None and f"“{endpoint.name}”" not in error.sentence and error.kind in OF_ONE_ENDPOINT:
        sentence = f"{name}: {error.sentence}"
    if sentence is None:
        return error
    if isinstance(error, TransientError):
        return TransientError(sentence, error.detail, kind=error.kind, retry_after=error.retry_after)
    return TerminalError(sentence, error.detail, kind=error.kind)
