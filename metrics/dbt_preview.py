"""What other switches would make of the headline numbers: the same raw rows built twice, in schemas of their own.

Only what the numbers need is built (`+revenue_retention` without staging), in `preview_…` schemas that are dropped
afterwards; nothing that is scanned, published or built upon is touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metrics import dbt_project
from metrics.dbt_adapter import source_tables, variables_of
from metrics.dbt_selection import choose, descendants
from metrics.dbt_types import BuildRequest
from portal.failures import PortalError, TerminalError

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PREFIX = "preview_"
NUMBERS_FROM = "revenue_retention"

# Of the current month (False) or of the last one that is over; column, label, unit.
NUMBERS = (
    (False, "mrr", "MRR now", "money"),
    (False, "customers", "Customers now", "count"),
    (True, "mrr", "MRR at the end of last month", "money"),
    (True, "customer_churn", "Customer churn last month", "share"),
    (True, "gross_mrr_churn", "Gross MRR churn last month", "share"),
    (True, "nrr", "Net revenue retention last month", "share"),
    (True, "grr", "Gross revenue retention last month", "share"),
)


def compare(request: BuildRequest, proposed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headline numbers by `request.vars` and by `proposed`: rows of label, unit, before, after and their currencies.

    Raises `PortalError` when they cannot be computed. The caller holds the right to write to the warehouse.
    """
    location = dbt_project.Location(request.warehouse_url, request.work_dir / "preview")
    manifest = _parsed(location)
    missing = _missing(request, manifest)
    common = {**variables_of(request), "missing_tables": missing}  # one moment for both
    try:
        before, after = (_numbers(location, manifest, {**common, **values}) for values in (request.vars, proposed))
    finally:
        _forget(location, manifest)
    return [
        {
            "label": label,
            "unit": unit,
            "before": _plain(before, (is_over, column)),
            "after": _plain(after, (is_over, column)),
            "currencies": [_plain(found, (is_over, "currency")) for found in (before, after)],
        }
        for is_over, column, label, unit in NUMBERS
    ]


def _parsed(location: dbt_project.Location) -> Manifest:
    result = _invoke(["parse", "--vars", json.dumps({"schema_prefix": PREFIX})], location)
    manifest: Any = result.result
    return manifest


def _missing(request: BuildRequest, manifest: Manifest) -> list[str]:
    """The optional raw tables that do not exist. Raises `TerminalError` when one that is needed does not."""
    selection = choose((), request.raw_tables, source_tables(manifest), (), manifest.child_map)
    needed = {f"source:{table}+" for table in _tables_below(manifest)}
    if lacking := sorted(needed.intersection(selection.exclude)):
        tables = ", ".join(each.removeprefix("source:").removesuffix("+") for each in lacking)
        raise TerminalError(
            f"There are no numbers to compare yet: they need {tables}, which no source has brought in.", kind="preview"
        )
    return list(selection.missing_optional)


def _tables_below(manifest: Manifest) -> set[str]:
    """The raw tables that the numbers are computed from."""
    ids = [node.unique_id for node in manifest.nodes.values() if node.name == NUMBERS_FROM]
    above = descendants(ids, manifest.parent_map)  # the same walk, the other way
    return {f"{source.schema}.{source.identifier}" for key, source in manifest.sources.items() if key in above}


def _numbers(location: dbt_project.Location, manifest: Manifest, values: dict[str, Any]) -> dict[tuple[bool, str], Any]:
    """(is the month over, column) → value, of the current month and the one before."""
    variables = ["--vars", json.dumps({**values, "schema_prefix": PREFIX})]
    select = ["--select", f"+{NUMBERS_FROM}", "--exclude", "path:models/staging"]
    _invoke(["run", "--no-write-json", *select, *variables], location, manifest)
    columns = sorted({"currency", *(column for _, column, _, _ in NUMBERS)})
    query = f"select is_complete, {', '.join(columns)} from {{{{ ref('{NUMBERS_FROM}') }}}} order by month desc"
    shown: Any = _invoke(["show", "--inline", query, "--limit", "2", *variables], location, manifest).result
    found: dict[tuple[bool, str], Any] = {}
    for row in shown.results[0].agate_table.rows:
        found |= {(bool(row["is_complete"]), column): row[column] for column in columns}
    return found


def _forget(location: dbt_project.Location, manifest: Manifest) -> None:
    schemas = sorted({node.schema for node in manifest.nodes.values() if node.schema.startswith(PREFIX)})
    _invoke(["run-operation", "drop_schemas", "--args", json.dumps({"names": schemas})], location, manifest)


def _invoke(command: list[str], location: dbt_project.Location, manifest: Manifest | None = None) -> Any:
    result = dbt_project.invoke(command, location, manifest)
    if result.success:
        return result
    messages = [str(each.message) for each in getattr(result.result, "results", None) or () if each.message]
    raise _failure("\n".join([*messages, str(result.exception or "")]).strip())


def _failure(detail: str) -> PortalError:
    return TerminalError("What these choices would do could not be computed.", detail, kind="preview")


def _plain(found: Mapping[tuple[bool, str], Any], key: tuple[bool, str]) -> str | None:
    value = found.get(key)
    return None if value is None else str(value)
