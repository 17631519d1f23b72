"""Data tests in a warm build: dbt writes their SQL once; as long as it would write the same, we only put the questions.

For dbt a test is a node like any other: it costs some 6 ms of preparation, for a question that DuckDB answers in one.
dbt carries out every test of a process's first build, and of each build after anything but rows and the day changed.
From then on the SQL that it compiled is asked again on the connection of the build, and judged by dbt's own rules. Servers
take longer for the question than dbt for the preparation, so there dbt always does it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from metrics.dbt_selection import descendants
from metrics.dbt_types import BAD_STATUSES, NodeOutcome

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# How a test may say the build's moment and still be asked at another one: as the literal that the macro `as_of` writes.
_MOMENT = re.compile(r"as_of|run_started_at|invocation_id|modules\.")
_MOMENT_MACRO = "macro.data_portal.as_of"


@dataclass(frozen=True)
class CompiledTest:
    """What dbt made of one data test. `reads`: unique ids of what it looks at."""

    outcome: NodeOutcome
    sql: str
    moment: str
    fail_calc: str
    warn_if: str
    error_if: str
    limit: int | None
    is_error: bool
    reads: tuple[str, ...]

    def question(self, moment: str) -> str:
        """SQL for one row: failures, whether they are worth a warning, whether they are an error."""
        sql = self.sql.replace(f"'{self.moment}'", f"'{moment}'")
        limited = sql if self.limit is None else f"{sql}\nlimit {self.limit}"
        return (
            f"select {self.fail_calc}, {self.fail_calc} {self.warn_if}, {self.fail_calc} {self.error_if}"
            f" from ({limited}\n) as dbt_internal_test"
        )


class KnownTests:
    """The compiled tests of one state of the project (files, switches, tables); another state begins anew."""

    def __init__(self) -> None:
        self._state: Mapping[str, Any] | None = None
        self._tests: dict[str, CompiledTest] = {}

    def of(self, state: Mapping[str, Any], unique_ids: Iterable[str]) -> list[CompiledTest] | None:
        """These tests, or None when dbt has to carry them out because one of them is not known."""
        if state != self._state:
            return None
        found = [self._tests.get(unique_id) for unique_id in sorted(unique_ids)]
        return None if None in found else [test for test in found if test]

    def learn(self, state: Mapping[str, Any], compiled: Mapping[str, CompiledTest]) -> None:
        if state != self._state:
            self._state, self._tests = dict(state), {}
        self._tests.update(compiled)


class Asking:
    """Asks tests on a connection; `outcomes` are those of dbt, had it asked."""

    def __init__(self, tests: list[CompiledTest], moment: str) -> None:
        self.tests, self.moment = tests, moment
        self.outcomes: list[NodeOutcome] = []

    def ask(self, connection: Any) -> None:
        for test in self.tests:
            began = time.perf_counter()
            try:
                failures, should_warn, should_error = connection.execute(test.question(self.moment)).fetchone()
            except Exception as error:  # as dbt: a test that cannot be asked is an error of this test
                result: dict[str, Any] = {"status": "error", "rows": None, "message": str(error)}
            else:
                result = _judged(test, failures, should_warn=should_warn, should_error=should_error)
            self.outcomes.append(replace(test.outcome, seconds=time.perf_counter() - began, **result))

    def outcomes_after(self, built: Iterable[NodeOutcome], children: Mapping[str, Iterable[str]]) -> list[NodeOutcome]:
        """`outcomes`, without an answer where dbt would not have asked: below what was not built or breaks a rule.

        `children`: the dbt graph by unique id.
        """
        if len(self.outcomes) != len(self.tests):
            raise RuntimeError(f"{len(self.tests) - len(self.outcomes)} data tests were not carried out.")
        reads = {test.outcome.unique_id: test.reads for test in self.tests}
        doubtful = {node.unique_id for node in built if node.status in (*BAD_STATUSES, "skipped")}
        for outcome in self.outcomes:
            if outcome.is_bad and reads[outcome.unique_id]:  # what builds on all that the test looked at
                doubtful |= set.intersection(*(descendants([each], children) for each in reads[outcome.unique_id]))
        return [
            replace(outcome, status="skipped", rows=None, message="")
            if doubtful & {*reads[outcome.unique_id]}
            else outcome
            for outcome in self.outcomes
        ]


def compiled(
    results: Iterable[Any], outcomes: Iterable[NodeOutcome], manifest: Manifest, moment: str
) -> dict[str, CompiledTest]:
    """What can be asked again, by unique id, out of dbt's run results (and our outcomes of them, in the same order)."""
    found = {}
    for result, outcome in zip(results, outcomes, strict=True):
        node = result.node
        if outcome.resource_type != "test" or not node.compiled_code or not _is_repeatable(node, manifest):
            continue
        config = node.config
        found[node.unique_id] = CompiledTest(
            outcome=outcome,
            sql=node.compiled_code,
            moment=moment,
            fail_calc=config.fail_calc,
            warn_if=config.warn_if,
            error_if=config.error_if,
            limit=config.limit,
            is_error=config.severity.upper() == "ERROR",
            reads=tuple(node.depends_on.nodes),
        )
    return found


def _is_repeatable(node: Any, manifest: Manifest) -> bool:
    """Whether its SQL differs from build to build by the literal of the moment alone, and leaves nothing behind."""
    if node.config.store_failures or node.config.store_failures_as not in (None, "ephemeral"):
        return False
    arguments = str(node.test_metadata.kwargs) if getattr(node, "test_metadata", None) else ""
    waiting, seen = [node.raw_code, arguments, *_macros(node, manifest)], set()
    while waiting:
        text = waiting.pop()
        if isinstance(text, str):
            # `as_of()` is a call of the macro; anything else that speaks of the moment may write what it likes.
            if _MOMENT.search(text.replace("as_of()", "")):
                return False
        elif text.unique_id not in seen and text.unique_id != _MOMENT_MACRO:
            seen.add(text.unique_id)
            waiting += [text.macro_sql, *_macros(text, manifest)]
    return True


def _macros(node: Any, manifest: Manifest) -> list[Any]:
    return [manifest.macros[unique_id] for unique_id in node.depends_on.macros if unique_id in manifest.macros]


def _judged(test: CompiledTest, failures: int, *, should_warn: bool, should_error: bool) -> dict[str, Any]:
    results = f"Got {failures} result{'' if failures == 1 else 's'}"
    if test.is_error and should_error:
        return {"status": "fail", "rows": failures, "message": f"{results}, configured to fail if {test.error_if}"}
    if should_warn:
        return {"status": "warn", "rows": failures, "message": f"{results}, configured to warn if {test.warn_if}"}
    return {"status": "pass", "rows": 0, "message": ""}
