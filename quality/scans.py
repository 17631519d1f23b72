"""Carry out the checks of datasets and keep what they found: results, history, incidents."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Max, OuterRef, Q, Subquery
from django.db.models.functions import TruncDate
from django.utils import timezone

from portal.failures import as_portal_error
from portal.warehouse import get_warehouse
from quality import incidents, soda_adapter
from quality.models import Check, CheckResult, Incident, Measurement, Outcome, Scan, Severity, latest_result
from quality.soda_adapter import CheckReport, CheckRequest
from quality.soda_connections import CheckConnection
from quality.soda_runtime import Point
from quality.sodacl import CheckText
from sources.models import Source

logger = logging.getLogger(__name__)

BAD = (Outcome.FAIL, Outcome.ERROR)
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
    checks = Check.objects.enabled().select_related("owner")
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
            summary.holds.append(hold_sentence(check, report.sentence))
    _write(scan, found, now)
    incidents.resolve_retired()
    summary.seconds = time.monotonic() - began
    return summary


def standing_holds() -> list[str]:
    """A sentence for every enabled critical check whose latest result is a failure or an error."""
    checks = (
        Check.objects.enabled()
        .filter(severity=Severity.CRITICAL)
        .annotate(latest_outcome=latest_result("outcome"), latest_sentence=latest_result("sentence"))
        .filter(latest_outcome__in=BAD)
    )
    return [hold_sentence(check, check.latest_sentence) for check in checks]


def waiting_datasets() -> list[str]:
    """Datasets with an enabled check that nobody has carried out since it was written or edited."""
    edited_at = Check.history.filter(id=OuterRef("pk")).order_by("-history_date").values("history_date")[:1]
    checks = (
        Check.objects.enabled()
        .annotate(edited_at=Subquery(edited_at), measured_at=latest_result("measured_at"))
        .filter(Q(measured_at__isnull=True) | Q(measured_at__lt=F("edited_at")))
    )
    return sorted(set(checks.values_list("dataset", flat=True)))


def hold_sentence(check: Check, sentence: str) -> str:
    return f"{check.name} ({check.dataset}): {sentence}"


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


# --- writing --------------------------------------------------------------------------------------------------------
def _write(scan: Scan, found: list[tuple[Check, CheckReport]], now: datetime) -> None:
    with transaction.atomic():
        CheckResult.objects.bulk_create(
            CheckResult(
                scan=scan,
                check_row=check,
                outcome=report.outcome,
                value=report.value,
                sentence=report.sentence,
                detail=report.detail,
                measured_at=now,
            )
            for check, report in found
        )
        Measurement.objects.bulk_create(
            Measurement(
                check_row=check,
                metric=report.metric,
                value=report.measured,
                measured_at=now,
                outcome=report.outcome,
                extra=report.extra,
            )
            for check, report in found
            if report.measured is not None
        )
        _tell(scan, found)


def _tell(scan: Scan, found: list[tuple[Check, CheckReport]]) -> None:
    """Open, count or resolve the incident of each check. Learning says nothing either way."""
    open_fingerprints = set(
        Incident.objects.open().filter(kind=Incident.Kind.CHECK).values_list("fingerprint", flat=True)
    )
    sources = {source.dataset: source for source in Source.objects.defer("secrets")}
    for check, report in found:
        fingerprint = fingerprint_of(check)
        if report.outcome in (*BAD, Outcome.WARN):
            incidents.report(
                kind=Incident.Kind.CHECK,
                fingerprint=fingerprint,
                title=f"{_verb(report.outcome)}: {check.name}",
                sentence=report.sentence,
                detail=report.detail,
                affected=_affected(check, report.outcome),
                check_row=check,
                source=sources.get(check.dataset.partition(".")[0]),
                # Whoever was named for this very check comes before the owner of its source.
                owner_email=check.owner.email if check.owner and check.owner.is_active else "",
                path=scan.build.get_absolute_url() if scan.build else "",
            )
        elif report.outcome == Outcome.PASS and fingerprint in open_fingerprints:
            incidents.resolve(fingerprint, f"The check passes again. {report.sentence}")


def fingerprint_of(check: Check) -> str:
    return f"check:{check.pk}"


def _verb(outcome: str) -> str:
    return {Outcome.WARN: "Check warns", Outcome.ERROR: "Check could not be run"}.get(Outcome(outcome), "Check failed")


def _affected(check: Check, outcome: str) -> list[str]:
    lines = [f"{check.dataset}: do not rely on it until this is cleared up."]
    if outcome in BAD and check.severity == Severity.CRITICAL:
        lines.append("Nothing new is published while this lasts; dashboards keep the last good data.")
    else:
        lines.append("New data is still published.")
    return lines
