"""Builds: ask for one, carry one out, write down what dbt did.

request_build()  a queued row; while one waits, whoever asks joins it (coalescing)
perform()        one dbt invocation over everything that changed since the last good build
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string

from metrics import datasets, switches
from metrics.dbt_types import BuildOutcome
from metrics.manifest import FILE_NAME, ProjectDoc, read_manifest
from metrics.models import Build, BuildNode
from portal.failures import as_portal_error
from portal.runs import RunStatus, Trigger, heartbeat
from portal.warehouse import get_warehouse
from sources.models import Attempt, SyncRun
from sources.syncs import has_lost_attempts

logger = logging.getLogger(__name__)

# A dotted path: only the process that builds imports dbt.
DBT_BUILD = "metrics.dbt_adapter.build"


def request_build(trigger: Trigger = Trigger.UPSTREAM) -> Build:
    """The build that waits, or a new one. It will cover every sync that ends before it starts."""
    try:
        with transaction.atomic():
            return Build.objects.create(trigger=trigger)
    except IntegrityError:
        waiting = Build.objects.filter(status=RunStatus.QUEUED).first()
        # It may have been claimed between the two statements: then the next one is ours.
        return waiting or request_build(trigger)


def changed_tables(runs: list[SyncRun]) -> list[str]:
    """ "schema.table" of every raw table that these runs brought rows into; [] when nobody can tell."""
    if any(has_lost_attempts(run) for run in runs):
        return []
    tables = set()
    attempts = Attempt.objects.filter(run__in=runs).exclude(status=Attempt.Status.RUNNING).select_related("run__source")
    for attempt in attempts:
        tables |= {f"{attempt.run.source.dataset}.{stream}" for stream, rows in attempt.rows.items() if rows}
    return sorted(tables)


def perform(build: Build, without_tests: Collection[str] = ()) -> BuildOutcome | None:
    """Carry out `build`, which the caller has claimed. None when it failed before dbt could say anything.
    `without_tests`: the unique ids of dbt tests that are switched off.

    The syncs it covers keep waiting for a build until one is good through and through, so that a build after a
    failure takes the same changes along again.
    """
    syncs = list(SyncRun.objects.filter(awaits_build=True).select_related("source"))
    build.syncs.set(syncs)
    # Asked for by hand: everything. Otherwise what is downstream of what changed.
    changed = [] if build.trigger == Trigger.MANUAL else changed_tables(syncs)
    warehouse = get_warehouse()
    try:
        with heartbeat(Build.objects.all(), build.pk), warehouse.writer():
            request = switches.request_for(warehouse, changed)
            request = replace(request, without_tests=frozenset(without_tests))
            outcome = import_string(DBT_BUILD)(request)
    except Exception as error:  # whatever it was, it must reach the row
        failure = as_portal_error(error)
        logger.warning("Build %s failed: %s", build.pk, failure.sentence)
        Build.objects.fail(build.pk, failure, changed=changed)
        return None
    # A full build looks at every raw table, so the scan does too.
    _write(build, changed, changed or sorted(request.raw_tables), syncs, outcome, request.vars)
    return outcome


def documentation() -> ProjectDoc:
    """What dbt says about its datasets, as of the last build."""
    return read_manifest(switches.work_dir() / FILE_NAME)


def _feeds(project: ProjectDoc) -> dict[str, list[str]]:
    feeds: dict[str, set[str]] = {}
    for relation, dataset in project.datasets.items():
        if dataset.kind == "source":
            marts = {name for name in project.downstream(relation) if name.startswith("mart_")}
            feeds.setdefault(relation.partition(".")[0], set()).update(marts)
    return {raw: sorted(marts) for raw, marts in feeds.items()}


def _write(
    build: Build,
    changed: list[str],
    raw_touched: list[str],
    syncs: list[SyncRun],
    outcome: BuildOutcome,
    chosen: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    project = documentation()
    values = {
        "changed": changed,
        "touched": sorted({*raw_touched, *outcome.touched}),
        "feeds": _feeds(project),
        "switches": dict(chosen),
        "left_out": list(outcome.left_out),
        "definition": outcome.definition,
        "models_built": outcome.models,
        "tests_run": outcome.tests,
        "tests_failed": len(outcome.failing_tests),
        "seconds": outcome.seconds,
    }
    with transaction.atomic():
        BuildNode.objects.bulk_create(
            BuildNode(
                build=build,
                unique_id=node.unique_id,
                name=node.name,
                resource_type=node.resource_type,
                relation=node.relation or "",
                status=node.status,
                seconds=node.seconds,
                rows=node.rows,
                message=node.message,
            )
            for node in outcome.nodes
        )
        datasets.record(build, outcome, project)
        if outcome.error is not None:
            Build.objects.fail(build.pk, outcome.error, **values)
            return
        Build.objects.succeed(build.pk, **values)
        if not outcome.failing_tests:
            SyncRun.objects.filter(pk__in=[run.pk for run in syncs]).update(awaits_build=False)
    logger.info(
        "Build %s done in %.1f s: %s models, %s tests.", build.pk, outcome.seconds, outcome.models, outcome.tests
    )
