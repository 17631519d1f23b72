"""dbt's data tests as checks: the same rows, results, incidents, mails and gate as those of Soda.

follow()        a Check for each test of the project; those it no longer has are switched off
switched_off()  what a build leaves out because a person said so
record()        what one build found
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone
from simple_history.utils import bulk_create_with_history

from metrics.dbt_types import BAD_STATUSES
from metrics.manifest import DataTestDoc, ProjectDoc
from metrics.models import Build, BuildNode
from portal.text import listed, plural
from quality import incidents, results
from quality.models import REMOVED_FROM, Check, Outcome, Severity
from quality.results import CheckReport
from quality.sentences import with_article

# Abbreviations in the names of tests.
_CAPITALS = {"mrr", "arr", "arpa", "ltv", "nrr", "grr", "fx", "id", "usd"}


# --- which checks there are -------------------------------------------------------------------------------------------
def follow(project: ProjectDoc) -> dict[str, Check]:
    """Bring the checks of dbt in line with the project; returns them by dbt's unique id.

    An empty project (nobody could read it) changes nothing: unknown is not gone. Who answers for a check is taken from
    dbt's `owner` when that is the name or address of a colleague, until somebody else is chosen here.
    """
    checks = {check.dbt_test: check for check in Check.objects.of_dbt().select_related("owner")}
    if not project.datasets:
        return checks
    owners = _owners(project.tests.values())
    new = []
    for unique_id, test in project.tests.items():
        told = _told(test)
        check = checks.get(unique_id)
        if check is None:
            check = Check(dbt_test=unique_id[:255], owner=owners.get(test.owner.lower()), **told)
            checks[unique_id] = check
            new.append(check)
        elif any(getattr(check, field) != value for field, value in told.items()):
            # One that comes back is checked again; one that a person has switched off stays off.
            check.is_enabled = check.is_enabled or check.is_gone
            for field, value in told.items():
                setattr(check, field, value)
            check.save()
    bulk_create_with_history(new, Check)
    for unique_id in set(checks) - set(project.tests):
        check = checks.pop(unique_id)
        if check.is_enabled:
            check.is_enabled = False
            check.origin = f"{REMOVED_FROM}{check.origin}"[:255]
            check.save()
    return checks


def switched_off() -> frozenset[str]:
    """The unique ids of tests that a person has switched off."""
    return frozenset(Check.objects.of_dbt().filter(is_enabled=False).values_list("dbt_test", flat=True))


def _told(test: DataTestDoc) -> dict[str, Any]:
    return {
        "dataset": test.relation[:120],
        "name": promise(test)[:200],
        "severity": Severity.WARN if test.only_warns else Severity.CRITICAL,
        "definition": test.sql or f"{test.kind}: {json.dumps(dict(test.arguments), ensure_ascii=False)}",
        "origin": f"the dbt project, {test.file}"[:255],
    }


def _owners(tests: Iterable[DataTestDoc]) -> Mapping[str, Any]:
    wanted = {test.owner.lower() for test in tests if test.owner}
    people = get_user_model().objects.filter(is_active=True) if wanted else []
    return {name.lower(): one for one in people for name in (one.get_username(), one.email) if name.lower() in wanted}


# --- in words ---------------------------------------------------------------------------------------------------------
def promise(test: DataTestDoc) -> str:
    """What it promises, as a sentence: its description, else by its kind, else by its name."""
    return test.description or _promise_of_kind(test.kind, test.arguments) or in_words(test.name)


def _promise_of_kind(kind: str, arguments: Mapping[str, Any]) -> str:
    column = str(arguments.get("column_name", ""))
    values = [str(value) for value in arguments.get("values") or arguments.get("columns") or ()]
    words = {
        "not_null": f"Every row has {with_article(column)}",
        "unique": f"No {column} is there twice",
        "primary_key": f"Every row has {with_article(column)} of its own",
        "unique_together": f"No two rows agree in {listed(values, most=8)}",
        "accepted_values": f"{column} is one of {', '.join(values)}",
        "relationships": f"Every {column} is in {_referred(arguments.get('to'))}",
        "share_between": f"{column} is between {arguments.get('least')} and {arguments.get('most')}",
    }
    return words.get(kind, "")


def _referred(text: Any) -> str:
    """ref('stg_hubspot__deals') → stg_hubspot__deals"""
    return str(text).removeprefix("ref(").removesuffix(")").strip("'\"")


def in_words(name: str) -> str:
    """mrr_adds_up_for_every_customer_and_month → MRR adds up for every customer and month"""
    words = [word.upper() if word in _CAPITALS else word for word in name.split("_") if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


# --- what a build found -----------------------------------------------------------------------------------------------
def record(build: Build, project: ProjectDoc) -> None:
    """Keep what the tests of this build said, and close the incidents of those that are gone."""
    checks = follow(project)
    found = []
    for node in build.nodes.filter(resource_type="test"):
        check = checks.get(node.unique_id) or _unknown(node)
        if check.is_enabled:
            found.append((check, _report(node, check)))
    results.write(found, timezone.now(), build=build)
    incidents.resolve_retired()


def _unknown(node: BuildNode) -> Check:
    """A test that ran and that the manifest does not name counts all the same, as if it were critical."""
    told = {"dataset": node.relation[:120], "name": in_words(node.name)[:200], "definition": node.name}
    return Check.objects.get_or_create(dbt_test=node.unique_id, defaults=told)[0]


def _report(node: BuildNode, check: Check) -> CheckReport:
    outcome = _outcome(node.status)
    return CheckReport(
        key=node.unique_id,
        outcome=outcome,
        sentence=_sentence(outcome, node, check),
        detail="" if outcome == Outcome.PASS else f"{node.message}\n{node.unique_id}\n{check.origin}".strip(),
        value=node.rows if outcome in (Outcome.PASS, Outcome.WARN, Outcome.FAIL) else None,
    )


def _outcome(status: str) -> Outcome:
    """dbt's word; one that nobody knows is an error, never green."""
    if status in ("pass", "warn", "fail", "skipped"):
        return Outcome(status)
    return Outcome.ERROR


def _sentence(outcome: Outcome, node: BuildNode, check: Check) -> str:
    if outcome == Outcome.PASS:
        return "No row breaks it."
    if outcome == Outcome.SKIPPED:
        return f"{check.dataset or 'What it looks at'} was not built, so it was not looked at."
    if outcome in (Outcome.WARN, Outcome.FAIL) and node.rows:
        return f"{plural(node.rows, 'row breaks', 'rows break')} it."
    return "It could not be looked at." if node.status in BAD_STATUSES else f"dbt says “{node.status}”."
