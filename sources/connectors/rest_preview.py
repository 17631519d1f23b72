"""A first look at an endpoint: its first rows, the columns they make, and what would make its settings better."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from portal.failures import TerminalError
from sources.connectors.base import Column, Sample, StreamSpec, Suggestion
from sources.connectors.rest_auth import RestClient
from sources.connectors.rest_columns import column_name, learn, moment_of, without_blanks
from sources.connectors.rest_endpoints import Endpoint
from sources.connectors.rest_pages import RecordPage, pages
from sources.connectors.rest_paths import MISSING, at, dotted, lists_of_objects, scalars, steps
from sources.connectors.shape import EXTRA, Shape

PAGES = 3
ROWS_SHOWN = 10
CELL = 60
KEYS = ("id", "uuid", "key", "guid", "_id", "number")
TIMES = ("updated_at", "updatedat", "modified_at", "updated", "modified", "last_modified", "changed_at", "created_at")
SUGGESTED_AT_MOST = 3


def look(client: RestClient, endpoint: Endpoint) -> tuple[tuple[Column, ...], Sample]:
    """The columns of an endpoint and a sample of it; raises `PortalError` when it does not answer with data."""
    seen: list[RecordPage] = []
    try:
        for page in itertools.islice(pages(client, endpoint, endpoint.since_params(None)), PAGES):
            seen.append(page)
    except TerminalError as error:
        if error.kind not in {"records", "paging"}:
            raise
        body = seen[0].answer.body if seen else _body_of(client, endpoint)
        return (), Sample(error=error.sentence, suggestions=tuple(_records(body, endpoint, error.kind)))
    records = [record for page in seen for record in page.records]
    if not records:
        hint = tuple(_records(seen[0].answer.body, endpoint, "records"))
        sentence = f"The endpoint “{endpoint.name}” answered, but without any row, so its columns are not known yet."
        if hint:
            sentence += f" Are the rows at “{hint[0].value}”?"
        return (), Sample(error=sentence, suggestions=hint)
    columns, left = learn(records, endpoint.wanted)
    columns = endpoint.typed(columns)
    rows, problem = _rows(records[:ROWS_SHOWN], endpoint, columns)
    problem = problem or _problem(records, endpoint)
    return (() if problem else columns), Sample(
        rows=rows,
        columns=columns,
        error=problem,
        notes=tuple(_notes(seen, records, endpoint, left)),
        suggestions=(*_keys(records, endpoint), *_cursors(records, endpoint), *_next(seen[0], endpoint)),
    )


def _body_of(client: RestClient, endpoint: Endpoint) -> Any:
    answer = client.get(endpoint.path, dict(endpoint.params), missing_ok=True)
    return answer.body if answer else None


def _problem(records: Sequence[dict[str, Any]], endpoint: Endpoint) -> str:
    """Why these rows cannot be read with these settings; "" when they can."""
    name = f"The endpoint “{endpoint.name}”"
    for path in endpoint.primary_key:
        without = sum(at(record, path) in (MISSING, None, "") for record in records)
        if without == len(records):
            return f"{name} has no field “{path}” to know a row by."
        if without:
            return f"{name} has rows without “{path}”, so it cannot tell rows apart ({without} of {len(records)})."
    if endpoint.primary_key and (twice := len(records) - len(_distinct(records, endpoint.primary_key))):
        fields = ", ".join(f"“{path}”" for path in endpoint.primary_key)
        return f"{name} has different rows with the same {fields} ({twice} of {len(records)}), so one would replace the other."
    if endpoint.cursor_field and not any(moment_of(at(record, endpoint.cursor_field)) for record in records):
        return f"{name} has no time in “{endpoint.cursor_field}” to tell what is new."
    return ""


def _distinct(records: Sequence[dict[str, Any]], key: Sequence[str]) -> set[str]:
    return {json.dumps([at(record, path) for path in key], default=str) for record in records}


def _rows(
    records: Sequence[dict[str, Any]], endpoint: Endpoint, columns: tuple[Column, ...]
) -> tuple[tuple[tuple[str, ...], ...], str]:
    shape = Shape(StreamSpec(endpoint.name, columns=columns))
    blank = [steps(column.path or column.name) for column in columns if column.type not in {"text", "json"}]
    try:
        rows = [shape.row(without_blanks(record, blank)) for record in records]
    except TerminalError as error:
        return (), error.sentence
    return tuple(tuple(_short(row.get(column.name)) for column in columns) for row in rows), ""


def _short(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = value.isoformat() if isinstance(value, date) else str(value)
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"


def _notes(
    seen: Sequence[RecordPage], records: Sequence[dict[str, Any]], endpoint: Endpoint, left: Sequence[str]
) -> Iterator[str]:
    if endpoint.paging == "none":
        yield f"{len(records):,} rows came in one answer."
    elif seen[-1].has_next:
        yield f"{len(seen)} pages were tried and turned as they should; {len(records):,} rows, and there are more."
    else:
        yield f"{len(seen)} pages were tried, and that was all: {len(records):,} rows."
    if not endpoint.primary_key:
        yield "No field is named that a row is known by, so everything is read each time."
    elif not endpoint.is_incremental:
        yield "Everything is read each time. “Only what is new” can shorten that."
    else:
        newest = max(filter(None, (moment_of(at(record, endpoint.cursor_field)) for record in records)), default=None)
        if newest:
            shown = endpoint.since_params({"value": newest.isoformat()})[endpoint.cursor_param]
            yield f"After these rows the next sync would ask with {endpoint.cursor_param}={shown}."
    if left:
        names = ", ".join(f"“{path}”" for path in left[:5])
        yield f"Kept as JSON in {EXTRA.name}, not as columns: {names}{' and more' if len(left) > 5 else ''}."


def _records(body: Any, endpoint: Endpoint, kind: str) -> Iterator[Suggestion]:
    if kind != "records":
        return
    for path, count in lists_of_objects(body)[:SUGGESTED_AT_MOST]:
        if path != dotted(endpoint.records):
            where = f"at {path}" if path else "at the top of the answer"
            yield Suggestion("records", path, f"A list of {count} objects is {where}.")


def _keys(records: Sequence[dict[str, Any]], endpoint: Endpoint) -> Iterator[Suggestion]:
    """Fields that are different in every row seen, the likeliest first."""
    if endpoint.primary_key and not _problem(records, endpoint):
        return
    names = [
        key
        for key, value in records[0].items()
        if isinstance(value, (str, int)) and not isinstance(value, bool) and "." not in key
    ]
    unique = [
        name
        for name in names
        if all(record.get(name) not in (None, "") for record in records)
        and len(_distinct(records, [name])) == len(records)
        and (len(records) > 1 or name.lower() in KEYS)
    ]
    likely = [name for name in unique if name.lower() in KEYS or name.lower().endswith(("id", "uuid", "key"))]
    for name in (likely or unique)[:SUGGESTED_AT_MOST]:
        yield Suggestion("primary_key", name, f"“{name}” is different in all {len(records)} rows seen.")


def _cursors(records: Sequence[dict[str, Any]], endpoint: Endpoint) -> Iterator[Suggestion]:
    if endpoint.cursor_field and any(moment_of(at(record, endpoint.cursor_field)) for record in records):
        return
    named = {column_name(path).replace("_", ""): path for record in records[:1] for path in record if "." not in path}
    found = 0
    for name in TIMES:
        path = named.get(name.replace("_", ""))
        if path and found < SUGGESTED_AT_MOST and all(moment_of(record.get(path)) for record in records):
            found += 1
            yield Suggestion("cursor_field", path, f"“{path}” holds a time in every row seen.")


def _next(page: RecordPage, endpoint: Endpoint) -> Iterator[Suggestion]:
    """What in the first answer looks as if there were more pages, when nobody has said how to turn them."""
    if endpoint.paging != "none":
        return
    if page.answer.next_url:
        yield Suggestion("paging", "link", "The answer has a Link header with the address of a next page.")
        return
    for path, value in scalars(page.answer.body):
        last = path.rpartition(".")[2].lower()
        if "next" not in last and "next" not in path.lower() and "cursor" not in last:
            continue
        if isinstance(value, str) and value.startswith(("http://", "https://", "/")):
            yield Suggestion("paging", "next_url", "The answer seems to hold the address of a next page.")
            yield Suggestion("paging_path", path, f"“{path}” looks like that address.")
            return
        if value not in ("", 0):
            yield Suggestion("paging", "cursor", "The answer seems to hold a mark for the next page.")
            yield Suggestion("paging_path", path, f"“{path}” looks like that mark.")
            return
