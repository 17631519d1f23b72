"""Data tests that are asked without dbt answer as dbt does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from metrics import dbt_adapter, dbt_tests
from metrics.dbt_types import BuildOutcome, NodeOutcome
from tests.dbt.helpers import STRIPE, Warehouse, problems
from tests.dbt.raw_schema import RAW_SCHEMA

NOON, LATER = "2026-04-20 12:00:00", "2026-05-01 00:30:00"


def _compiled(unique_id: str = "test.a", **changes: Any) -> dbt_tests.CompiledTest:
    test = dbt_tests.CompiledTest(
        outcome=NodeOutcome(unique_id, unique_id, "test", "pass"),
        sql=f"select 1 where '{NOON}' = ''",
        moment=NOON,
        fail_calc="count(*)",
        warn_if="!= 0",
        error_if="!= 0",
        limit=None,
        is_error=True,
        reads=("model.a",),
    )
    return replace(test, **changes)


def test_a_question_is_asked_at_the_moment_of_its_build() -> None:
    assert f"'{LATER}'" in _compiled().question(LATER)
    assert NOON not in _compiled().question(LATER)
    assert "limit 5" in _compiled(limit=5).question(LATER)


def test_tests_are_known_for_one_state_of_the_project() -> None:
    known = dbt_tests.KnownTests()
    known.learn({"files": 1}, {"test.a": _compiled()})
    known.learn({"files": 1}, {"test.b": _compiled("test.b")})
    assert [test.outcome.unique_id for test in known.of({"files": 1}, ["test.b", "test.a"]) or []] == [
        "test.a",
        "test.b",
    ]
    assert known.of({"files": 1}, ["test.a", "test.c"]) is None
    assert known.of({"files": 2}, ["test.a"]) is None
    known.learn({"files": 2}, {})
    assert known.of({"files": 1}, ["test.a"]) is None


@pytest.mark.parametrize(
    ("raw_code", "is_repeatable"),
    [
        ("select 1 from t where day <= {{ as_of() }}", True),
        ("select 1 from t where day <= '{{ var('as_of')[:10] }}'", False),
        ("select 1 from t where day <= '{{ run_started_at }}'", False),
    ],
)
def test_sql_that_may_differ_in_the_next_build_is_left_to_dbt(raw_code: str, *, is_repeatable: bool) -> None:
    config = SimpleNamespace(store_failures=None, store_failures_as=None)
    node = SimpleNamespace(
        raw_code=raw_code, config=config, depends_on=SimpleNamespace(macros=["macro.data_portal.as_of"])
    )
    macro = SimpleNamespace(unique_id="macro.data_portal.as_of", macro_sql="{{ var('as_of') }}")
    manifest: Any = SimpleNamespace(macros={macro.unique_id: macro})
    assert dbt_tests._is_repeatable(node, manifest) is is_repeatable


def test_tests_that_were_not_carried_out_are_no_success() -> None:
    with pytest.raises(RuntimeError, match="1 data tests were not carried out"):
        dbt_tests.Asking([_compiled()], NOON).outcomes_after([], {})


def _answers(outcome: BuildOutcome) -> dict[str, tuple[str, int | None, str, str | None]]:
    tests = [node for node in outcome.nodes if node.resource_type == "test"]
    return {node.unique_id: (node.status, node.rows, node.message, node.relation) for node in tests}


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbt_adapter, "_known_tests", dbt_tests.KnownTests())


@pytest.mark.slow
def test_every_test_of_the_project_is_asked_as_dbt_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another month, and in a file that was made anew: the same questions and the same answers as dbt's own."""
    _forget(monkeypatch)
    warehouse = Warehouse(tmp_path, vars={"as_of": NOON})
    by_dbt = warehouse.build()
    learned = dbt_adapter._known_tests._tests
    warehouse.vars = {"as_of": LATER}
    commands = []
    original = dbt_adapter._command
    monkeypatch.setattr(dbt_adapter, "_command", lambda *a, **k: commands.append(k["with_tests"]) or original(*a, **k))

    asked = warehouse.build()
    (tmp_path / "anew").mkdir()
    asked_of_another = Warehouse(tmp_path / "anew", vars={"as_of": LATER}).build()
    _forget(monkeypatch)
    by_dbt_again = warehouse.build()

    assert commands == [False, False, True]
    assert asked_of_another.models == by_dbt.models
    assert _answers(asked) == _answers(asked_of_another) == _answers(by_dbt) == _answers(by_dbt_again)
    anew = dbt_adapter._known_tests._tests
    assert learned.keys() == anew.keys() == _answers(by_dbt).keys()
    assert {each: learned[each].question(LATER) for each in learned} == {
        each: anew[each].question(LATER) for each in anew
    }


@pytest.mark.slow
def test_what_does_not_hold_is_found_as_dbt_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(tmp_path, STRIPE, {"as_of": NOON})
    assert problems(warehouse.build()) == []
    warehouse.insert(stripe__subscriptions=[{"id": "sub_1", "customer_id": None, "status": "no such status"}] * 2)
    asked = warehouse.build("raw_stripe.subscriptions")
    asked_of_all = warehouse.build()  # everything, since the build before was not good
    _forget(monkeypatch)
    by_dbt = warehouse.build()
    bad = {name: answer for name, answer in _answers(by_dbt).items() if answer[0] == "fail"}
    assert len(bad) == 3
    for outcome in (asked, asked_of_all):
        assert {name: answer for name, answer in _answers(outcome).items() if answer[0] == "fail"} == bad


@pytest.mark.slow
def test_a_test_of_what_could_not_be_built_has_no_answer(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, tuple(RAW_SCHEMA), {"as_of": NOON})
    assert problems(warehouse.build()) == []
    warehouse.execute("alter table raw_github.pulls rename column merged_at to merged_on")
    outcome = warehouse.build("raw_github.pulls")
    assert outcome.error is not None
    answers = {name.split(".")[2]: answer[0] for name, answer in _answers(outcome).items()}
    assert answers["primary_key_pull_requests_pull_request_id"] == "skipped"
    assert answers["primary_key_stg_github__pull_requests_pull_request_id"] == "error"
