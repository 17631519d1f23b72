"""What dbt finds out anew for each dbt model and test although it never changes: found out once in a process.

dbt is a command that ends, so it pays for this once and nobody notices. In a worker that builds all day it is a quarter
of a build. What stands here in the place of something of dbt's gives the same answer (tests/metrics/test_dbt_warm.py
compares the two); nothing here knows of our project.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dbt.clients.jinja import MacroGenerator, MacroStack
from dbt.context import base
from dbt.context.macros import MacroNamespace, MacroNamespaceBuilder
from dbt_common.behavior_flags import BehaviorFlagRendered
from dbt_common.clients import agate_helper, jinja

# More than a large project has files, hooks and settings. When there are more, all are forgotten.
TEMPLATES_KEPT = 2000


@functools.cache
def prepare() -> None:
    """Take dbt's places in this process; called again it does nothing."""
    replaced: list[tuple[Any, str, Any]] = [
        (jinja.MacroFuzzEnvironment, "compile", compiled_once(jinja.MacroFuzzEnvironment.compile)),
        (agate_helper, "build_type_tester", types_known_once(agate_helper.build_type_tester)),
        (base, "get_context_modules", functools.cache(base.get_context_modules)),
        (MacroNamespaceBuilder, "build_namespace", macros_of_a_node),
        # Where a flag comes from, for a message that nobody reads: dbt looks for it in the source of every caller.
        (BehaviorFlagRendered, "_default_source", staticmethod(lambda: "dbt")),
    ]
    for owner, name, ours in replaced:
        setattr(owner, name, ours)


def compiled_once(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """Jinja's `Environment.compile`, which turns a template into Python: the same text without a name is the same code."""
    kept: dict[tuple[type, str], Any] = {}

    def compile_once(environment: Any, source: Any, *named: Any, **options: Any) -> Any:
        if named or options or not isinstance(source, str):
            return compile_(environment, source, *named, **options)
        key = (type(environment), source)
        if (code := kept.get(key)) is None:
            if len(kept) >= TEMPLATES_KEPT:
                kept.clear()
            code = kept[key] = compile_(environment, source)
        return code

    return compile_once


def types_known_once(build_type_tester: Callable[..., Any]) -> Callable[..., Any]:
    """What tells the types of a result's columns: it has a parser of English dates, which is most of a small result."""
    known = functools.lru_cache(500)(build_type_tester)

    def build(text_columns: Iterable[str], string_null_values: Iterable[str] | None = ("null", "")) -> Any:
        nulls = None if string_null_values is None else tuple(string_null_values)
        return known(frozenset(text_columns), nulls)

    return build


class _Macro(MacroGenerator):
    """A macro as a node calls it; there are eight hundred of them for each node, so one step makes it."""

    def __init__(self, macro: Any, context: dict[str, Any], node: Any, stack: MacroStack) -> None:
        self.macro, self.context, self.node, self.stack = macro, context, node, stack


class _Macros(MacroNamespace):
    """A namespace that has put in order once what dbt looks through for each name."""

    def __init__(self, *namespaces: Any) -> None:
        super().__init__(*namespaces)
        self._found: dict[str, Any] = {}
        for searched in reversed(list(self._search_order())):
            self._found.update(searched)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __getitem__(self, name: str) -> Any:
        return self._found[name]

    def __len__(self) -> int:
        return len(self._found)


def macros_of_a_node(
    builder: MacroNamespaceBuilder, macros_by_package: Mapping[str, Mapping[str, Any]], ctx: dict[str, Any]
) -> MacroNamespace:
    """`MacroNamespaceBuilder.build_namespace`: the macros of its own package, then the project's, then other packages'."""
    packages: dict[str, dict[str, _Macro]] = {
        package: {name: _Macro(macro, ctx, builder.node, builder.thread_ctx) for name, macro in macros.items()}
        for package, macros in macros_by_package.items()
    }
    internal: dict[str, _Macro] = {}
    for package in reversed(builder.internal_package_names_order):
        internal.update(packages.get(package, {}))
    others = {name: macros for name, macros in packages.items() if name not in builder.internal_package_names}
    own = others.get(builder.search_package, {})
    of_project = {} if builder.search_package == builder.root_package else others.get(builder.root_package, {})
    return _Macros(of_project, own, internal, others)
