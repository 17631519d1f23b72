"""What checks found: kept as results and measurements, told as incidents. The same for Soda's checks and for dbt's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from metrics.lineage import affected_by
from metrics.models import Build
from quality import incidents
from quality.models import Check, CheckResult, Incident, Measurement, Outcome, Scan, Severity, latest_result
from quality.reports import CheckReport
from sources.models import Source

BAD = (Outcome.FAIL, Outcome.ERROR)


def standing_holds() -> list[str]:
    """A sentence for every enabled critical check that failed, or could not be checked, when it was last looked at.

    Not to be looked at (its dbt model failed) takes nothing back.
    """
    decided = {"but": Outcome.SKIPPED}
    checks = (
        Check.objects.enabled()
        .filter(severity=Severity.CRITICAL)
        .annotate(decided=latest_result("outcome", **decided), said=latest_result("sentence", **decided))
        .filter(decided__in=BAD)
    )
    return [hold_sentence(check, check.said) for check in checks]


def hold_sentence(check: Check, sentence: str) -> str:
    return f"{check.name} ({check.dataset}): {sentence}"


def write(
    found: Sequence[tuple[Check, CheckReport]], now: datetime, *, scan: Scan | None = None, build: Build | None = None
) -> None:
    """Keep what these checks said, either in a scan or (those of dbt) in a build; open, count and resolve incidents."""
    path = ""
    if of_build := build or (scan.build if scan else None):
        path = of_build.get_absolute_url()
    with transaction.atomic():
        CheckResult.objects.bulk_create(
            CheckResult(
                scan=scan,
                build=build,
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
        _tell(found, path)


def _tell(found: Sequence[tuple[Check, CheckReport]], path: str) -> None:
    """Open, count or resolve the incident of each check. Learning and not looking say nothing either way."""
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
                path=path,
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
    return [*lines, *affected_by([check.dataset])]
