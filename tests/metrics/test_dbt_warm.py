"""What stands in the place of dbt's own functions gives dbt's answers."""

from __future__ import annotations

import importlib
import importlib.util
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from metrics import dbt_project

pytestmark = pytest.mark.slow  # dbt takes seconds to be imported


@pytest.fixture(scope="module")
def warm() -> ModuleType:
    from metrics import dbt_warm

    dbt_warm.prepare()
    return dbt_warm


def as_installed(name: str) -> Any:
    """A module of dbt read again from its file, in which nothing has been replaced."""
    installed = importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"{name}_as_installed", str(installed.__file__))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("package", ["data_portal", "dbt", "dbt_duckdb", "another"])
def test_every_name_means_the_same_macro_for_a_node_of_any_package(
    warm: ModuleType, package: str, tmp_path: Path
) -> None:
    from dbt.clients.jinja import MacroStack

    manifest = dbt_project.parsed(dbt_project.Location(f"duckdb:///{tmp_path}/warehouse.duckdb", tmp_path))
    by_package: dict[str, Any] = dict(manifest.get_macros_by_package())
    assert {"data_portal", "dbt", "dbt_duckdb"} <= set(by_package)
    # a package that one could have installed, with names that others have too
    by_package["another"] = {
        name: SimpleNamespace(name=name, package_name="another", unique_id=f"macro.another.{name}")
        for name in ("statement", "primary_key", "only_there")
    }
    theirs = as_installed("dbt.context.macros")
    ctx: dict[str, Any] = {}
    node, stack = object(), MacroStack()
    arguments = ("data_portal", package, stack, ["dbt_duckdb", "dbt"], node)
    expected = theirs.MacroNamespaceBuilder(*arguments).build_namespace(by_package, ctx)
    found = warm.macros_of_a_node(theirs.MacroNamespaceBuilder(*arguments), by_package, ctx)

    def meant(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: meant(each) for name, each in value.items()}
        assert (value.node, value.stack, value.context) == (node, stack, ctx)
        return value.macro.unique_id

    assert len(expected) == len(found) > 500
    assert {name: meant(found[name]) for name in found} == {name: meant(expected[name]) for name in expected}
    for name in ("statement", "materialization_table_duckdb", "primary_key", "only_there", "nobody"):
        for of_package in (None, "dbt", "data_portal", "another"):
            ours, dbts = (each.get_from_package(of_package, name) for each in (found, expected))
            assert (ours and meant(ours)) == (dbts and meant(dbts)), (of_package, name)


def test_a_template_that_was_compiled_before_says_what_it_is_told_now(warm: ModuleType) -> None:
    from dbt.clients.jinja import get_rendered

    text = "select {{ column }}{% if more %}, {{ more }}{% endif %} from t"
    assert get_rendered(text, {"column": "a", "more": "b"}) == "select a, b from t"
    assert get_rendered(text, {"column": "c"}) == "select c from t"
    # native: a value, not text
    assert [get_rendered("{{ n + 1 }}", {"n": n}, native=native) for n in (1, 2) for native in (True, False)] == [
        *(2, "2"),
        *(3, "3"),
    ]


def test_a_template_that_cannot_be_compiled_is_an_error_each_time(warm: ModuleType) -> None:
    from dbt.clients.jinja import get_rendered
    from dbt.exceptions import CompilationError

    for _ in range(2):
        with pytest.raises(CompilationError, match="unexpected"):
            get_rendered("select {{ oops", {})


def test_no_more_templates_are_kept_than_agreed(warm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "TEMPLATES_KEPT", 2)
    compiled: list[str] = []

    def compile_(_environment: object, source: str) -> str:
        compiled.append(source)
        return source.upper()

    once = warm.compiled_once(compile_)
    assert [once("environment", text) for text in "aabac"] == list("AABAC")
    assert compiled == list("abc")
    assert once("environment", "a") == "A"
    assert compiled == list("abca")


def test_columns_of_results_have_the_same_types(warm: ModuleType) -> None:
    from dbt_common.clients import agate_helper

    theirs = as_installed("dbt_common.clients.agate_helper")
    rows: list[list[Any]] = [
        [1, "1", None, Decimal("1.50"), date(2026, 1, 5), datetime(2026, 1, 5, 10), True, "null", ""],
        [2, "x", None, Decimal("2"), date(2026, 1, 6), datetime(2026, 1, 6, 10), False, "2026-01-05", "true"],
    ]
    names = [f"column_{number}" for number in range(len(rows[0]))]
    for texts in ({"column_1"}, {"column_1", "column_7", "column_8"}, {"column_1"}):
        for columns in (names, names[:3]):
            asked = [[row[: len(columns)] for row in rows], columns, texts & set(columns)]
            ours, dbts = (each.table_from_rows(*asked) for each in (agate_helper, theirs))
            assert [tuple(row.values()) for row in ours.rows] == [tuple(row.values()) for row in dbts.rows]
            assert [type(each).__name__ for each in ours.column_types] == [
                type(each).__name__ for each in dbts.column_types
            ]
