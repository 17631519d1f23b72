"""Carry out Soda's checks of datasets (`quality.results` keeps what they found)."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F, Max, OuterRef, Q, Subquery
from django.db.models.functions import TruncDate
from django.utils import timezone

from portal.failures import as_portal_error
from portal.warehouse import get_warehouse
from quality import incidents, results, soda_adapter
from quality.models import Check, Measurement, Outcome, Scan, Severity, latest_result
from quality.reports import CheckReport
from quality.results import BAD
from quality.soda_adapter import CheckRequest
from quality.soda_connections import CheckConnection
from quality.soda_runtime import Point
from quality.sodacl import CheckText

logger = logging.getLogger(__name__)

# History for the detector: everything of the last days, one point a day before, as far back as Soda asks.
RECENT_DAYS = 9
HISTORY_DAYS = 1000


@dataclass
class ScanSummary:
    """What one scan found. `holds`: a sentence for each critical check that failed or could not be checked."""

    checks: int = 0
    passed: int = 0
    warned: int = 0
    failed: int = 0
    errored: int = 0
    learning: int = 0
    seconds: float = 0.0
    holds: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> None:
        self.checks += 1
        name = {
            Outcome.PASS: "passed",
            Outcome.WARN: "warned",
            Outcome.FAIL: "failed",
            Outcome.ERROR: "errored",
            Outcome.LEARNING: "learning",
        }[Outcome(outcome)]
        setattr(self, name, getattr(self, name) + 1)


def perform(scan: Scan) -> ScanSummary:
    """Run the enabled checks on `scan.datasets` ([] for every dataset that has one) and write down what they say.

    A check that cannot be carried out is an error outcome, not an exception; raises only when the warehouse itself
    cannot be had. The caller moves the run on.
    """
    began = time.monotonic()
    checks = Check.objects.enabled().of_soda().select_related("owner")
    if scan.datasets:
        checks = checks.on(scan.datasets)
    by_dataset: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        by_dataset[check.dataset].append(check)
    summary = ScanSummary()
    now = timezone.now()
    found: list[tuple[Check, CheckReport]] = []
    if by_dataset:
        history = _history([check for group in by_dataset.values() for check in group], now)
        warehouse = get_warehouse()
        with warehouse.writer(), soda_adapter.connected(warehouse) as connection:
            for dataset, group in by_dataset.items():
                found += zip(group, _scan_dataset(connection, dataset, group, history, now), strict=True)
    for check, report in found:
        # A check that only warns never fails: its severity is the highest level it can reach.
        if report.outcome == Outcome.FAIL and check.severity == Severity.WARN:
            report.outcome = Outcome.WARN
        summary.count(report.outcome)
        if report.outcome in BAD and check.severity == Severity.CRITICAL:
            summary.holds.append(results.hold_sentence(check, report.sentence))
    results.write(found, now, scan=scan)
    incidents.resolve_retired()
    summary.seconds = time.monotonic() - began
    return summary


def waiting_datasets() -> list[str]:
    """Datasets with an enabled check of Soda's that nobody has carried out since it was written or edited."""
    edited_at = Check.history.filter(id=OuterRef("pk")).order_by("-history_date").values("history_date")[:1]
    checks = (
        Check.objects.enabled()
        .of_soda()
        .annotate(edited_at=Subquery(edited_at), measured_at=latest_result("measured_at"))
        .filter(Q(measured_at__isnull=True) | Q(measured_at__lt=F("edited_at")))
    )
    return sorted(set(checks.values_list("dataset", flat=True)))


def _scan_dataset(
    connection: CheckConnection, dataset: str, checks: list[Check], history: dict[int, list[Point]], now: datetime
) -> list[CheckReport]:
    requests = [CheckRequest(str(check.pk), check.definition, tuple(history.get(check.pk, ()))) for check in checks]
    try:
        return soda_adapter.scan_dataset(connection, dataset, requests, now)
    except Exception as error:  # one dataset that cannot be looked at must not hide what the others say
        failure = as_portal_error(error)
        logger.exception("The checks of %s could not be run.", dataset)
        return [CheckReport(request.key, Outcome.ERROR, failure.sentence, failure.detail) for request in requests]


# --- history --------------------------------------------------------------------------------------------------------
def _history(checks: Iterable[Check], now: datetime) -> dict[int, list[Point]]:
    """Check → earlier measurements, for the checks that compare with history."""
    deepest: dict[int, int] = {}
    for check in checks:
        try:
            text = CheckText.parse(check.definition)
        except ValueError:
            continue  # reported as an error outcome by the adapter
        if text.needs_history:
            deepest[check.pk] = text.history.last if text.history else 0
    if not deepest:
        return {}
    rows = Measurement.objects.filter(check_row__in=deepest, measured_at__gt=now - timedelta(days=HISTORY_DAYS))
    recent = Q(measured_at__gt=now - timedelta(days=RECENT_DAYS))
    daily = (
        rows.annotate(day=TruncDate("measured_at"))
        .values("check_row", "metric", "day")
        .annotate(newest=Max("pk"))
        .values_list("newest", flat=True)
    )
    points: dict[int, list[Point]] = defaultdict(list)
    for pk, metric, value, measured_at in rows.filter(recent | Q(pk__in=Subquery(daily))).values_list(
        "check_row", "metric", "value", "measured_at"
    ):
        points[pk].append(Point(metric, value, measured_at))
    for pk, last in deepest.items():
        if last > 1:  # the last so many, however close together they are
            newest = rows.filter(check_row=pk)[: last * 2].values_list("metric", "value", "measured_at")
            points[pk] = [Point(*row) for row in newest]
    return points
