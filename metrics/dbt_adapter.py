"""The dbt adapter: a `BuildRequest` in, a `BuildOutcome` out. dbt's own vocabulary ends here; no ORM.

Judged by dbt's run results, never by its log. Unit tests are left out of a build: they test the SQL, not the data.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from metrics import dbt_project, dbt_tests
from metrics.dbt_definition import definition_of
from metrics.dbt_selection import Mart, Selection, SourceTable, choose, descendants, needs
from metrics.dbt_types import MODEL_FAILED, BuildOutcome, BuildRequest, NodeOutcome
from portal.failures import PortalError, TerminalError, TransientError
from portal.warehouse.names import spoken

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

#: What was last built, and by what: when that differs, what changed in the raw tables says too little.
STATE_FILE = "built.json"

#: Of this process: what dbt would only compile again.
_known_tests = dbt_tests.KnownTests()


def build(request: BuildRequest) -> BuildOutcome:
    """Build what is downstream of `request.changed` in this process.

    A dbt model that cannot be built is `outcome.error`, a failing test is in `outcome.failing_tests`. Raises
    `TerminalError` when the project cannot even be parsed. The caller holds the right to write to the warehouse.
    """
    started = time.perf_counter()
    location = dbt_project.Location(request.warehouse_url, request.work_dir)
    manifest = dbt_project.parsed(location)
    variables = variables_of(request)
    state = _state(location, variables, request)
    before = _read_state(location)
    is_familiar = before == state
    changed = request.changed if is_familiar else ()
    selection = choose(changed, request.raw_tables, source_tables(manifest), _marts(manifest), manifest.child_map)
    outcome = BuildOutcome(
        left_out=list(selection.left_out),
        unbuilt={unique_id: needs(tables) for unique_id, tables in selection.lacking.items()},
        definition=definition_of(manifest, variables, location.project_dir),
    )
    if not selection.is_empty:
        _forget_spilled(location)
        # Gone until this build is known to be good: after a failure everything is built.
        (location.work_dir / STATE_FILE).unlink(missing_ok=True)
        is_fresh_start = request.full_refresh or not is_familiar
        without = {test for test in request.without_tests if test in manifest.nodes}
        tested = _state_of_tests(location, state)
        asking = _known(selection, tested, variables, location, manifest, without)
        command = _command(
            selection,
            variables,
            with_definitions=is_fresh_start,
            with_tests=asking is None,
            without=sorted(manifest.nodes[test].name for test in without) if asking is None else (),
        )
        # A seed keeps the column types of its first load, an incremental model its rows: what was built by other SQL, with
        # other switches or from other tables begins again. A new day alone changes no rows.
        if request.full_refresh or {**before, "day": None} != {**state, "day": None}:
            command.append("--full-refresh")
        results = _run(command, location, manifest, outcome, asking)
        if asking is None:
            moment = str(variables["as_of"])
            _known_tests.learn(tested, dbt_tests.compiled(results, outcome.nodes, manifest, moment))
        if not is_fresh_start:
            outcome.touched = sorted({*outcome.touched, *_views_below(selection, manifest)})
        if outcome.error is None and not any(node.is_bad for node in outcome.nodes):
            (location.work_dir / STATE_FILE).write_text(json.dumps(state))
    outcome.seconds = time.perf_counter() - started
    return outcome


def _forget_spilled(location: dbt_project.Location) -> None:
    """What DuckDB had put aside on disk for a build that was killed. Nobody else writes now, so nobody needs it."""
    if path := location.target.environment.get("DBT_DUCKDB_PATH"):
        shutil.rmtree(f"{path}.tmp", ignore_errors=True)


def command_for(request: BuildRequest, *, with_definitions: bool = False) -> list[str]:
    """dbt's arguments for what an everyday build of `request.changed` does, for whoever wants to run dbt by hand.

    `with_definitions`: also views and seeds, as in a first build.
    """
    manifest = dbt_project.parsed(dbt_project.Location(request.warehouse_url, request.work_dir))
    selection = choose(
        request.changed, request.raw_tables, source_tables(manifest), _marts(manifest), manifest.child_map
    )
    return _command(selection, variables_of(request), with_definitions=with_definitions)


def _known(
    selection: Selection,
    tested: Mapping[str, Any],
    variables: Mapping[str, Any],
    location: dbt_project.Location,
    manifest: Manifest,
    without: set[str],
) -> dbt_tests.Asking | None:
    """All tests of this build (not those `without`), when they can be asked without dbt."""
    reached = _reached(selection, manifest) - without
    tables = [manifest.nodes[unique_id] for unique_id in reached if unique_id.startswith("model.")]
    # With nothing to build dbt does not even connect.
    if location.target.name != "duckdb" or all(table.config.materialized == "view" for table in tables):
        return None
    tests = _known_tests.of(tested, (unique_id for unique_id in reached if unique_id.startswith("test.")))
    return None if tests is None else dbt_tests.Asking(tests, str(variables["as_of"]))


def _command(
    selection: Selection,
    variables: Mapping[str, Any],
    *,
    with_definitions: bool,
    with_tests: bool = True,
    without: Sequence[str] = (),
) -> list[str]:
    """dbt's arguments. `with_definitions`: also what depends on the project's files alone, views and seeds.

    When these files are what they were, a view already shows the new rows, and a seed has none; their tests run.
    `without`: the names of tests that are switched off.
    """
    values = {**variables, "missing_tables": list(selection.missing_optional)}
    command = ["build", "--no-write-json", "--vars", json.dumps(values)]
    for kind in ("unit_test", "exposure", *(() if with_tests else ("test",))):
        command += ["--exclude-resource-type", kind]
    if selection.select:
        command += ["--select", *selection.select]
    exclude = [*selection.exclude, *without]
    if not with_definitions:
        command += ["--indirect-selection", "empty"]
        exclude += ["config.materialized:view", "resource_type:seed"]
    return [*command, "--exclude", *exclude] if exclude else command


def _run(
    command: list[str],
    location: dbt_project.Location,
    manifest: Manifest,
    outcome: BuildOutcome,
    asking: dbt_tests.Asking | None,
) -> list[Any]:
    """Carry `command` out, and what is `asking` after it; fills `outcome` and returns dbt's run results."""
    rows: dict[str, int] = {}
    kept = _kept(manifest)
    at_the_end = [lambda connection: rows.update(_count_rows(connection, kept)), *([asking.ask] if asking else [])]
    result = dbt_project.invoke(command, location, manifest, at_the_end=at_the_end)
    results = getattr(result.result, "results", None)
    if results is None:
        outcome.error = _refusal(result.exception)
        return []
    outcome.nodes = [_node(node_result, manifest, rows) for node_result in results]
    made = [node for node in outcome.nodes if node.status == "success" and node.relation]
    outcome.touched = sorted({node.relation for node in made if node.relation})
    outcome.error = _model_error(outcome.nodes, results, location)
    if asking:
        outcome.nodes += asking.outcomes_after(outcome.nodes, manifest.child_map)
    return list(results)


def variables_of(request: BuildRequest) -> dict[str, Any]:
    """The company's switches, and one "now" for the whole build (UTC)."""
    variables = dict(request.vars)
    variables["soft_deletes"] = sorted(request.soft_deletes)
    variables.setdefault("as_of", datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"))
    return variables


# --- what to build ----------------------------------------------------------------------------------------------------
def source_tables(manifest: Manifest) -> list[SourceTable]:
    return [
        SourceTable(
            unique_id,
            f"{source.schema}.{source.identifier}",
            bool(source.meta.get("optional")),
            tuple(source.meta.get("optional_for") or ()),
            str(source.meta.get("one_of") or ""),
        )
        for unique_id, source in manifest.sources.items()
    ]


def _marts(manifest: Manifest) -> list[Mart]:
    return [
        Mart(unique_id, _name(node))
        for unique_id, node in manifest.nodes.items()
        if node.resource_type == "model" and spoken(node.schema).startswith("mart_")
    ]


def _kept(manifest: Manifest) -> list[str]:
    """The tables whose rows stay from build to build."""
    return [
        _name(node)
        for node in manifest.nodes.values()
        if node.resource_type == "model" and node.config.materialized == "incremental"
    ]


def _reached(selection: Selection, manifest: Manifest) -> set[str]:
    """The unique ids of all that is below what changed and can be built (everything, when nothing is selected)."""
    if not selection.select:
        return {*manifest.nodes} - selection.lacking.keys()
    tables = {f"source:{source.table}+": source.unique_id for source in source_tables(manifest)}
    changed = [tables[selector] for selector in selection.select]
    return (descendants(changed, manifest.child_map) & {*manifest.nodes}) - selection.lacking.keys()


def _views_below(selection: Selection, manifest: Manifest) -> list[str]:
    """The views that show what changed."""
    nodes = [manifest.nodes[unique_id] for unique_id in _reached(selection, manifest)]
    views = [node for node in nodes if node.resource_type == "model" and node.config.materialized == "view"]
    return sorted(_name(node) for node in views)


def _state(location: dbt_project.Location, variables: Mapping[str, Any], request: BuildRequest) -> dict[str, Any]:
    """Everything besides the rows that the numbers depend on: the SQL, the switches, the tables there are, the day.

    The day, because an invoice becomes overdue and a month begins without any row changing.
    """
    zone = variables.get("company_timezone") or "UTC"
    now = datetime.fromisoformat(str(variables["as_of"])).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    return {
        "files": dbt_project.fingerprint(location.project_dir),
        "vars": {name: value for name, value in sorted(variables.items()) if name != "as_of"},
        "tables": sorted(request.raw_tables),
        "day": now.date().isoformat(),
        "warehouse": location.target.identity,
    }


def _state_of_tests(location: dbt_project.Location, state: Mapping[str, Any]) -> dict[str, Any]:
    """What the SQL of data tests depends on: not the day, and not which file of that name it is."""
    target = location.target
    return {**state, "day": None, "warehouse": f"{target.name} {target.database}"}


def _read_state(location: dbt_project.Location) -> dict[str, Any]:
    """What the last good build wrote; {} when there was none, or nobody can read it."""
    try:
        return dict(json.loads((location.work_dir / STATE_FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


# --- what came of it --------------------------------------------------------------------------------------------------
def _count_rows(connection: Any, kept: Iterable[str]) -> dict[str, int]:
    """How many rows each table has, while dbt's connection is still open: it costs no second opening.

    `kept`: tables that rows are deleted from. DuckDB's own number still has these, so there they are counted.
    """
    found = connection.execute("select schema_name, table_name, estimated_size from duckdb_tables()").fetchall()
    rows = {f"{schema}.{table}": int(number) for schema, table, number in found}
    for name in rows.keys() & set(kept):
        rows[name] = int(connection.execute(f"select count(*) from {name}").fetchone()[0])
    return rows


def _node(result: Any, manifest: Manifest, rows: Mapping[str, int]) -> NodeOutcome:
    node = result.node
    is_test = node.resource_type == "test"
    relation = _tested_relation(node, manifest) if is_test else _relation(node)
    return NodeOutcome(
        unique_id=node.unique_id,
        name=node.name,
        resource_type=str(node.resource_type),
        status=str(result.status),
        relation=relation,
        seconds=result.execution_time or 0.0,
        rows=result.failures if is_test else rows.get(relation or "", _rows_affected(result)),
        message=result.message or "",
    )


def _rows_affected(result: Any) -> int | None:
    """What PostgreSQL and BigQuery say when a table was made; None for a view."""
    rows = (result.adapter_response or {}).get("rows_affected")
    return rows if isinstance(rows, int) and result.node.config.materialized != "view" else None


def _relation(node: Any) -> str | None:
    return _name(node) if getattr(node, "alias", None) else None


def _name(node: Any) -> str:
    """As everybody says it, also where dbt builds a candidate under another name."""
    return f"{spoken(node.schema)}.{node.alias}"


def _tested_relation(node: Any, manifest: Manifest) -> str | None:
    """What a test looks at: the dbt model it is attached to, else the first one it reads."""
    parents = [getattr(node, "attached_node", None), *node.depends_on.nodes]
    for unique_id in parents:
        if unique_id in manifest.nodes:
            return _relation(manifest.nodes[unique_id])
        if unique_id in manifest.sources:
            source = manifest.sources[unique_id]
            return f"{source.schema}.{source.identifier}"
    return None


def _model_error(nodes: list[NodeOutcome], results: Any, location: dbt_project.Location) -> PortalError | None:
    broken = [
        (node, result)
        for node, result in zip(nodes, results, strict=True)
        if node.is_bad and node.resource_type != "test"
    ]
    if not broken:
        return None
    skipped = sum(node.status == "skipped" and node.resource_type == "model" for node in nodes)
    names = ", ".join(node.relation or node.name for node, _ in broken)
    what = "The dbt model" if len(broken) == 1 else "The dbt models"
    rest = f" What builds on it was left as it was ({skipped} dbt models)." if skipped else ""
    detail = "\n\n".join(
        f"{node.unique_id} ({result.node.original_file_path})\n{node.message}\n"
        f"compiled: {getattr(result.node, 'compiled_path', None) or 'not compiled'}"
        for node, result in broken
    )
    if "Could not set lock on file" in detail:
        return TransientError("Another process was writing to the warehouse.", detail, kind="warehouse_busy")
    return TerminalError(f"{what} {names} could not be built.{rest}", detail, kind=MODEL_FAILED)


def _refusal(exception: BaseException | None) -> PortalError:
    detail = str(exception)
    if "Could not set lock on file" in detail:
        return TransientError("Another process was writing to the warehouse.", detail, kind="warehouse_busy")
    return TerminalError(
        "dbt could not start the build. The detail below is for an engineer.", detail, kind="dbt_refused"
    )
