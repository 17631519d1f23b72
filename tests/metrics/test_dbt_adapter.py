"""The adapter against real dbt and a real DuckDB file."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from metrics import dbt_project
from metrics.dbt_adapter import build
from metrics.dbt_types import BuildRequest
from portal.failures import TerminalError, TransientError
from tests.dbt.helpers import STRIPE, Warehouse, problems
from tests.dbt.raw_schema import RAW_SCHEMA

pytestmark = pytest.mark.slow

NOW = {"as_of": "2026-04-20 12:00:00"}
MODELS = {file.stem for file in (dbt_project.PROJECT_DIR / "models").rglob("*.sql")}
STAGED = {name for name in MODELS if name.startswith("stg_")}
REQUIRED_FOR_MRR = ("customers", "subscriptions", "subscription_items", "invoices", "invoice_lines")


SOME = (*STRIPE, *(table for table in RAW_SCHEMA if table.startswith(("raw_github.", "raw_postgres."))))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Three sources, and what is built from them: a build is most of a test's time."""
    return Warehouse(tmp_path, SOME, dict(NOW))


@pytest.fixture
def whole(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path, vars=dict(NOW))


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    made = Warehouse(tmp_path_factory.mktemp("once"), SOME, dict(NOW))
    assert problems(made.build()) == []
    return made


@pytest.fixture
def built(once: Warehouse, tmp_path: Path) -> Warehouse:
    """The three sources, with everything built already."""
    return once.copy(tmp_path)


@pytest.fixture
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dbt project that a test may break."""
    copy = tmp_path / "project"
    shutil.copytree(dbt_project.PROJECT_DIR, copy, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(dbt_project, "PROJECT_DIR", copy)
    return copy


def _opens_elsewhere(path: Path) -> bool:
    """Whether another process can open the file for writing."""
    script = f"import duckdb; duckdb.connect({str(path)!r}).execute('create or replace table probe as select 1')"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_everything_is_built_with_rows_and_seconds(whole: Warehouse) -> None:
    whole.insert(github__pulls=[{"id": 1, "number": 7, "repository": "acme/app", "created_at": "2026-04-01"}])
    outcome = whole.build()
    assert problems(outcome) == []
    assert (outcome.models, outcome.left_out) == (len(MODELS), [])
    assert outcome.tests >= 40
    assert {"mart_finance.mrr_events", "mart_finance.mrr_monthly", "mart_engineering.pull_requests"} <= set(
        outcome.touched
    )
    node = next(node for node in outcome.nodes if node.name == "pull_requests")
    assert (node.relation, node.rows, node.resource_type) == ("mart_engineering.pull_requests", 1, "model")
    assert 0 < node.seconds < outcome.seconds
    assert {node.resource_type for node in outcome.nodes} == {"model", "seed", "snapshot", "test"}


def test_a_test_that_is_switched_off_is_left_out_and_what_lacks_a_raw_table_says_which(warehouse: Warehouse) -> None:
    off = "primary_key_stg_github__reviews_review_id"
    manifest = dbt_project.parsed(dbt_project.Location(f"duckdb:///{warehouse.path}", warehouse.work_dir))
    unique_id = next(unique_id for unique_id, node in manifest.nodes.items() if node.name == off)
    outcome = warehouse.build(without_tests=frozenset({unique_id, "test.p.nobody_knows"}))
    assert problems(outcome) == []
    assert off not in {node.name for node in outcome.nodes}
    assert outcome.tests > 40
    assert outcome.unbuilt["model.data_portal.deals"].endswith("which no source has brought in yet.")


def test_another_process_can_open_the_file_afterwards(warehouse: Warehouse) -> None:
    warehouse.build()
    assert _opens_elsewhere(warehouse.path)
    assert problems(warehouse.build()) == []
    assert _opens_elsewhere(warehouse.path)


def test_what_a_killed_build_had_put_aside_is_thrown_away(warehouse: Warehouse) -> None:
    left = Path(f"{warehouse.path}.tmp") / "duckdb_temp_storage_S64K-0.tmp"
    left.parent.mkdir()
    left.write_bytes(b"x")
    assert problems(warehouse.build()) == []
    assert not left.exists()


def test_schemas_are_named_literally(whole: Warehouse) -> None:
    whole.build()
    schemas = {row[0] for row in whole.rows("select distinct schema_name from duckdb_tables()")}
    assert schemas >= {"intermediate", "mart_finance", "mart_engineering", "seeds"}
    staged = whole.rows("select table_name from information_schema.tables where table_schema = 'staging'")
    assert {name for (name,) in staged} == STAGED


def test_only_what_is_downstream_of_a_change_is_built(built: Warehouse) -> None:
    outcome = built.build("raw_github.reviews")
    assert problems(outcome) == []
    models = {node.name for node in outcome.nodes if node.resource_type == "model"}
    assert models == {"int_github__pull_request_reviews_summed", "pull_requests", "delivery_weekly"}
    # A view shows new rows without being made again: it was touched, and its tests ran.
    assert "staging.stg_github__reviews" in outcome.touched
    assert "primary_key_stg_github__reviews_review_id" in {node.name for node in outcome.nodes}
    assert not any(table.startswith("mart_finance") for table in outcome.touched)


def test_whoever_listens_to_dbt_afterwards_hears_it(built: Warehouse) -> None:
    """Events that nobody hears are not put together in a build; in a shell of the same process they are."""
    from dbt_common.events.event_manager_client import get_event_manager
    from dbt_common.events.types import Note

    before = get_event_manager()
    assert problems(built.build("raw_github.reviews")) == []
    assert get_event_manager() is before
    assert Note(msg="heard").message() == "heard"


def test_new_rows_of_a_changed_table_reach_the_mart(built: Warehouse) -> None:
    built.insert(github__pulls=[{"id": 1, "number": 7, "repository": "acme/app", "created_at": "2026-04-01"}])
    assert problems(built.build("raw_github.pulls")) == []
    assert built.rows("select pull_request_number from mart_engineering.pull_requests") == [(7,)]


@pytest.mark.parametrize(
    "vars",
    [{**NOW, "past_due_days": 10}, {"as_of": "2026-04-21 00:00:00"}],
    ids=["a-switch", "a-day"],
)
def test_everything_is_built_when_more_than_rows_changed(built: Warehouse, vars: dict[str, Any]) -> None:
    built.vars = vars
    assert "mart_finance.mrr_monthly" in built.build("raw_github.reviews").touched


def test_everything_is_built_in_a_file_that_was_made_anew(whole: Warehouse, tmp_path: Path) -> None:
    whole.build()
    aside = tmp_path / "aside.duckdb"
    whole.path.rename(aside)
    Warehouse(whole.folder)
    outcome = whole.build("raw_github.reviews")
    assert problems(outcome) == []
    assert outcome.models == len(MODELS)


def test_building_everything_again_leaves_views_and_seeds_as_they_are(whole: Warehouse) -> None:
    first, again = whole.build(), whole.build()
    tables = {name for (name,) in whole.rows("select table_name from duckdb_tables()")}
    assert (again.models, again.tests) == (len(MODELS & tables), first.tests)
    assert again.models < first.models
    assert again.touched == [name for name in first.touched if not name.startswith("seeds.")]
    assert whole.build(full_refresh=True).models == len(MODELS)


def test_a_change_that_no_dbt_model_reads_builds_nothing(built: Warehouse) -> None:
    outcome = built.build("raw_crm.deals")
    assert (outcome.nodes, outcome.touched, outcome.error) == ([], [], None)


def test_a_company_without_github_is_told_what_is_left_out(tmp_path: Path) -> None:
    outcome = Warehouse(tmp_path, STRIPE, NOW).build()
    assert problems(outcome) == []
    assert (
        "mart_engineering.pull_requests: needs raw_github.pulls, which no source has brought in yet."
        in outcome.left_out
    )
    assert "mart_finance.mrr_monthly" in outcome.touched


def test_mrr_needs_neither_coupons_nor_charges_nor_refunds(tmp_path: Path) -> None:
    tables = tuple(f"raw_stripe.{name}" for name in REQUIRED_FOR_MRR)
    outcome = Warehouse(tmp_path, tables, NOW).build()
    assert problems(outcome) == []
    assert "mart_finance.mrr_monthly" in outcome.touched


def test_a_missing_table_turns_off_only_what_needs_it(tmp_path: Path) -> None:
    tables = tuple(table for table in RAW_SCHEMA if table != "raw_stripe.invoice_lines")
    outcome = Warehouse(tmp_path, tables, NOW).build()
    assert problems(outcome) == []
    assert "mart_engineering.pull_requests" in outcome.touched
    assert "staging.stg_stripe__invoices" in outcome.touched
    assert "mart_finance.mrr_monthly" not in outcome.touched
    assert all("raw_stripe.invoice_lines" in sentence for sentence in outcome.left_out)
    assert "mart_product.active_usage" in outcome.touched


def test_a_failing_test_is_a_result_with_its_rows(warehouse: Warehouse) -> None:
    row = {"id": "sub_1", "customer_id": None, "status": "active"}
    warehouse.insert(stripe__subscriptions=[row])
    outcome = warehouse.build()
    assert outcome.error is None
    assert [(node.relation, node.rows, node.status) for node in outcome.failing_tests] == [
        ("staging.stg_stripe__subscriptions", 1, "fail")
    ]
    assert "mart_finance.mrr_monthly" not in outcome.touched
    assert "mart_engineering.pull_requests" in outcome.touched
    warehouse.execute("update raw_stripe.subscriptions set customer_id = 'cus_1'")
    mended = warehouse.build("raw_stripe.subscriptions")
    assert problems(mended) == []
    assert "mart_finance.mrr_monthly" in mended.touched


def test_a_dbt_model_that_breaks_is_named_and_leaves_the_rest_alone(own_project: Path, warehouse: Warehouse) -> None:
    (own_project / "models/marts/finance/mrr_events.sql").write_text(
        "select nothing_like_it from {{ ref('int_mrr__movements') }}"
    )
    outcome = warehouse.build()
    assert isinstance(outcome.error, TerminalError)
    assert outcome.error.sentence == "The dbt model mart_finance.mrr_events could not be built."
    assert "nothing_like_it" in outcome.error.detail
    assert "models/marts/finance/mrr_events.sql" in outcome.error.detail
    assert "mart_engineering.pull_requests" in outcome.touched
    assert _opens_elsewhere(warehouse.path)


def test_a_project_that_cannot_be_read_is_said_so(own_project: Path, warehouse: Warehouse) -> None:
    (own_project / "models/marts/finance/mrr_events.sql").write_text("select * from {{ ref('no_such_thing') }}")
    with pytest.raises(TerminalError) as failure:
        warehouse.build()
    assert failure.value.kind == "dbt_parse"
    assert "no_such_thing" in failure.value.detail


@pytest.mark.usefixtures("project_was_read")
def test_what_dbt_kept_of_the_project_holds_wherever_the_file_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portal that moves to another folder, or a test, does not read everything again."""
    monkeypatch.setattr(dbt_project, "_manifests", {})  # as a process that has just begun
    location = dbt_project.Location(f"duckdb:///{tmp_path}/warehouse.duckdb", tmp_path / "dbt")
    assert len(dbt_project.parsed(location).nodes) > 200
    told = json.loads((tmp_path / "dbt" / "target" / "perf_info.json").read_text())
    assert (told["parsed_path_count"], told["path_count"] > 100) == (0, True)


def test_a_page_reads_the_manifest_whole_while_workers_read_the_project_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = dbt_project.Location(f"duckdb:///{tmp_path}/warehouse.duckdb", tmp_path / "dbt")
    dbt_project.parsed(location)
    seen: list[int] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            seen.append(len(json.loads(location.manifest_path.read_bytes())["nodes"]))

    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(look)
        for _ in range(2):
            monkeypatch.setattr(dbt_project, "_manifests", {})  # as a process that has just begun
            dbt_project.parsed(location)
        is_over.set()
        page.result()
    assert set(seen) == {len(dbt_project.parsed(location).nodes)}
    assert len(seen) > 3


def test_the_project_is_read_again_when_a_file_changes(own_project: Path, warehouse: Warehouse) -> None:
    assert problems(warehouse.build()) == []
    folder = own_project / "models" / "company"
    folder.mkdir(exist_ok=True)
    (folder / "big_customers.sql").write_text(
        "{{ config(schema='mart_company', materialized='table') }}\n"
        "select customer_id from {{ ref('mrr_by_customer_month') }} where mrr > 1000"
    )
    assert "mart_company.big_customers" in warehouse.build("raw_github.reviews").touched


def test_a_file_that_another_process_writes_to_is_worth_another_attempt(warehouse: Warehouse) -> None:
    script = (
        f"import duckdb, sys; c = duckdb.connect({str(warehouse.path)!r}); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline().strip() == b"open"
        outcome = warehouse.build()
        other.stdin.close()
    assert isinstance(outcome.error, TransientError)
    assert outcome.error.kind == "warehouse_busy"
    assert problems(warehouse.build()) == []


class _TimeLimit(Exception):
    """Stands for Celery's SoftTimeLimitExceeded, which a signal handler raises too."""


def test_a_time_limit_stops_dbt_with_its_threads(built: Warehouse) -> None:
    """A build that would take minutes is interrupted in the middle of a query; afterwards nobody holds the file."""
    built.execute(
        "create or replace view staging.slow as select count(*) as n from range(100000) a, range(100000) b, range(100) c"
    )

    def interrupt(*_: Any) -> None:
        raise _TimeLimit

    location = dbt_project.Location(f"duckdb:///{built.path}", built.work_dir)
    manifest = _with_slow_model(location)
    threads_before = set(threading.enumerate())
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 3)
        with pytest.raises(_TimeLimit):
            dbt_project.invoke(["build", "--select", "slow_model", "--no-write-json"], location, manifest)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(threading.enumerate()) <= threads_before
    assert _opens_elsewhere(built.path)
    assert problems(built.build()) == []


def _with_slow_model(location: dbt_project.Location) -> Any:
    """The manifest with one dbt model more, which reads the slow view."""
    import copy

    manifest = dbt_project.parsed(location).deepcopy()
    node = copy.deepcopy(manifest.nodes["model.data_portal.mrr_monthly"])
    node.unique_id, node.name, node.alias = "model.data_portal.slow_model", "slow_model", "slow_model"
    node.fqn = ["data_portal", "marts", "finance", "slow_model"]
    node.raw_code = "select n from staging.slow"
    node.depends_on.nodes, node.refs = [], []
    manifest.nodes[node.unique_id] = node
    manifest.build_parent_and_child_maps()
    return manifest


def _build_in_child(request: BuildRequest, answers: Any) -> None:
    outcome = build(request)
    answers.put((outcome.models, problems(outcome), multiprocessing.current_process().daemon))


def test_a_daemonic_child_builds_after_a_fork(whole: Warehouse) -> None:
    """Celery's prefork children are such processes; the manifest was parsed before the fork."""
    whole.build()
    tables = {name for (name,) in whole.rows("select table_name from duckdb_tables()")}
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_build_in_child, args=(whole.request(), answers), daemon=True)
    child.start()
    assert answers.get(timeout=300) == (len(MODELS & tables), [], True)
    child.join(timeout=60)
    assert child.exitcode == 0


def test_many_builds_in_one_process_do_not_leak(built: Warehouse) -> None:
    for _ in range(3):
        built.build("raw_github.reviews")
    threads, files, memory = threading.active_count(), _open_files(), _resident()
    for _ in range(20):
        assert problems(built.build("raw_github.reviews")) == []
    assert threading.active_count() == threads
    assert _open_files() <= files
    assert _resident() - memory < 40 * 2**20


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_nothing_is_written_into_the_source_tree(warehouse: Warehouse) -> None:
    before = dbt_project.fingerprint(dbt_project.PROJECT_DIR)
    warehouse.build()
    assert dbt_project.fingerprint(dbt_project.PROJECT_DIR) == before
    assert not (Path.cwd() / "logs").exists()
    assert {path.name for path in warehouse.work_dir.iterdir()} <= {"target", "logs", "built.json", "manifest.json"}


def test_a_warehouse_of_another_kind_is_refused_in_a_sentence(tmp_path: Path) -> None:
    request = BuildRequest((), frozenset(RAW_SCHEMA), "mysql://warehouse", tmp_path)
    with pytest.raises(TerminalError, match="cannot be built in a warehouse of the kind “mysql”"):
        build(request)


def test_rows_deleted_at_their_source_are_left_out_as_soon_as_a_table_keeps_them(warehouse: Warehouse) -> None:
    warehouse.insert(
        postgres__users=[{"id": 1, "workspace_id": "w"}, {"id": 2, "workspace_id": "w"}],
        postgres__workspaces=[{"id": "w", "created_at": "2026-03-01"}],
    )
    assert problems(warehouse.build()) == []
    users = "select user_id from staging.stg_postgres__users order by 1"
    assert warehouse.rows(users) == [(1,), (2,)]

    warehouse.execute("alter table raw_postgres.users add column _deleted_at timestamptz")
    warehouse.execute("update raw_postgres.users set _deleted_at = now() where id = 2")
    outcome = warehouse.build("raw_postgres.users", soft_deletes=frozenset({"raw_postgres.users"}))

    assert problems(outcome) == []
    assert warehouse.rows(users) == [(1,)]


def test_a_companys_own_models_are_built_beside_ours_and_left_out_without_their_source(
    own_project: Path, tmp_path: Path
) -> None:
    (own_project / "models" / "company" / "slow_reviews.sql").write_text(
        "select pull_request_id from {{ ref('pull_requests') }} where time_to_first_review_hours > 24"
    )
    (own_project / "models" / "company" / "months.sql").write_text("select month, mrr from {{ ref('mrr_monthly') }}")
    warehouse = Warehouse(tmp_path / "w", STRIPE, NOW)

    outcome = warehouse.build()

    assert problems(outcome) == []
    assert "mart_company.months" in outcome.touched
    assert warehouse.rows("select table_name from duckdb_tables() where schema_name = 'mart_company'") == [("months",)]
    assert any(each.startswith("mart_company.slow_reviews: needs raw_github.") for each in outcome.left_out)
