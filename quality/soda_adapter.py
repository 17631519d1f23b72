"""Checks of one dataset, carried out by Soda: dataclasses in and out, no ORM, no Soda vocabulary beyond this module.

Whatever happens, every request gets a report, and what could not be checked is an error, never green:

1. the table and the columns that a check names are looked up first; what is missing is said in a sentence
2. all checks run in one scan; Soda puts their metrics into one query
3. if that query broke, the checks without an outcome run again one by one, so the broken one is alone with its error
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches

from portal.redact import redact
from quality import sentences, soda_readings
from quality.reports import CheckReport
from quality.soda_connections import CheckConnection, connected, placed
from quality.soda_readings import Reading
from quality.soda_runtime import MetricHistory, Point, ScanRun, looked_back, run_scan
from quality.sodacl import CheckText, Kind, dump

__all__ = ["CheckReport", "CheckRequest", "connected", "scan_dataset"]

# Soda's detector wants more than four daily points, today's included.
ANOMALY_POINTS = 5

_SODA_PREFIX = re.compile(r"^Query execution error in \S+?\[?[^:\]]*\]?: ")


@dataclass(frozen=True)
class CheckRequest:
    """One check to carry out. `history`: earlier values of its metric, any order, only for checks that need it."""

    key: str
    definition: str
    history: tuple[Point, ...] = ()


def scan_dataset(
    connection: CheckConnection, dataset: str, requests: Sequence[CheckRequest], now: datetime
) -> list[CheckReport]:
    """Carry out these checks of `dataset` ("schema.table"); one report for each request, in order."""
    schema, _, table = dataset.partition(".")
    columns = connection.columns(schema, table)
    reports: dict[str, CheckReport] = {}
    jobs: list[_Job] = []
    for request in requests:
        job = _Job.of(request, schema, columns, now, connection)
        if isinstance(job, CheckReport):
            reports[request.key] = job
        elif not columns:
            reports[request.key] = CheckReport(
                request.key,
                "error",
                f"The table {dataset} does not exist, so this could not be checked.",
                request.definition,
            )
        elif problem := _missing_column(dataset, job.text, columns):
            reports[request.key] = CheckReport(request.key, "error", problem, request.definition)
        else:
            jobs.append(job)
    for group in (
        [job for job in jobs if not job.text.other_table],
        [job for job in jobs if job.text.other_table],
    ):
        reports |= _run(connection, schema, table, group, now)
    return [reports[request.key] for request in requests]


@dataclass(frozen=True)
class _Job:
    """A request that is ready for Soda: `text` as asked, `item` as it is put to Soda."""

    request: CheckRequest
    text: CheckText
    item: CheckText
    # How many measurements it has, how many it needs; (0, 0) for checks without history.
    learned: tuple[int, int] = (0, 0)

    @property
    def is_learning(self) -> bool:
        return self.learned[0] < self.learned[1]

    @classmethod
    def of(
        cls, request: CheckRequest, schema: str, columns: dict[str, str], now: datetime, connection: CheckConnection
    ) -> _Job | CheckReport:
        try:
            text = CheckText.parse(request.definition)
        except ValueError as error:
            return CheckReport(request.key, "error", f"This check cannot be understood. {error}", request.definition)
        learned = _learned(text, request.history, now)
        asked = text.measuring_only() if learned[0] < learned[1] else text
        # Attributes are for Soda's Cloud: without its list of allowed ones Soda would run nothing at all.
        config = {key: value for key, value in asked.config.items() if key not in ("attributes", "name", "identity")}
        line = CheckText(asked.line).rendered_line(columns, schema, connection.quoted)
        return cls(request, text, placed(CheckText(line, config), connection), learned)


def _learned(text: CheckText, history: Sequence[Point], now: datetime) -> tuple[int, int]:
    if text.kind is Kind.ANOMALY:
        frequency = (text.config.get("training_dataset_parameters") or {}).get("frequency", "auto")
        if frequency != "auto":
            return len(_of_one_metric(history)) + 1, ANOMALY_POINTS
        # Soda makes measurements at irregular times daily ones, the last of each day.
        days = {point.measured_at.astimezone(UTC).date() for point in _of_one_metric(history)}
        days.add(now.astimezone(UTC).date())
        return len(days), ANOMALY_POINTS
    if look := text.history:
        newest_first = sorted(_of_one_metric(history), key=lambda point: point.measured_at, reverse=True)
        if looked_back(newest_first, look, now) is None:
            return (0, 1) if look.same_day_last_week else (len(newest_first), look.last)
        return look.last, look.last
    return 0, 0


def _of_one_metric(history: Sequence[Point]) -> list[Point]:
    """The points of the metric that was measured last: a check that was rewritten starts anew."""
    newest = max(history, key=lambda point: point.measured_at, default=None)
    return [point for point in history if newest is not None and point.metric == newest.metric]


def _missing_column(dataset: str, text: CheckText, columns: dict[str, str]) -> str:
    missing = [name for name in text.columns if name.lower() not in columns]
    if not missing:
        return ""
    near = get_close_matches(missing[0].lower(), columns, n=1)
    hint = f" Did you mean {columns[near[0]]}?" if near else ""
    return f"The table {dataset} has no column {missing[0]}, so this could not be checked.{hint}"


def _run(
    connection: CheckConnection, schema: str, table: str, jobs: list[_Job], now: datetime
) -> dict[str, CheckReport]:
    if not jobs:
        return {}
    reports, unanswered = _scan_once(connection, schema, table, jobs, now)
    if len(jobs) > 1:
        for job in unanswered:
            alone, _ = _scan_once(connection, schema, table, [job], now)
            reports |= alone
    return reports


def _scan_once(
    connection: CheckConnection, schema: str, table: str, jobs: list[_Job], now: datetime
) -> tuple[dict[str, CheckReport], list[_Job]]:
    """(reports, jobs that got no outcome although they should have)."""
    qualify = not jobs[0].text.other_table
    header = f"checks for {connection.quoted(table)}" if qualify else f"checks for {connection.place(schema)}.{table}"
    sodacl = dump({header: [job.item.as_item(name=job.request.key) for job in jobs]})
    points = [point for job in jobs for point in job.request.history]
    history = MetricHistory(points=points, now=now)
    scan = run_scan(connection, schema, sodacl, history, now, qualify=qualify)
    reports, unanswered = {}, []
    for job in jobs:
        report = _report(job, scan, history)
        reports[job.request.key] = report
        if report.outcome == "error":
            unanswered.append(job)
    return reports, unanswered


def _report(job: _Job, scan: ScanRun, history: MetricHistory) -> CheckReport:
    check = scan.checks.get(job.request.key)
    if check is None:
        return _error(job, Reading(errors=scan.errors), "This check could not be understood.")
    reading = soda_readings.read(check, job.item if job.is_learning else job.text)
    report = CheckReport(
        job.request.key,
        reading.outcome,
        "",
        value=reading.value,
        metric=reading.metric,
        measured=reading.measured if job.text.needs_history else None,
    )
    if job.text.needs_history and not reading.errors and not reading.problem:
        done, needed = job.learned
        if reading.points is not None:  # the detector saw gaps that the mere number of days does not show
            done, needed = reading.points, ANOMALY_POINTS
        elif job.text.kind is Kind.CHANGE and reading.metric in history.too_short:
            done = min(done, needed - 1)
        if done < needed:
            report.outcome = "learning"
            report.sentence = sentences.learning(done, needed)
            report.detail = _detail(job, reading)
            return report
    if not reading.outcome:
        return _error(job, replace(reading, errors=reading.errors or scan.errors), reading.problem)
    report.sentence = reading.facts.get("sentence") or sentences.found(
        job.text, reading.value, reading.outcome, reading.facts
    )
    report.detail = _detail(job, reading)
    report.extra = {key: reading.facts[key] for key in ("low", "high", "expected") if key in reading.facts}
    return report


def _error(job: _Job, reading: Reading, problem: str) -> CheckReport:
    """An outcome for what Soda gave none: said as an error, never left out."""
    if not problem:
        first = next((" ".join(error.split()) for error in reading.errors), "")
        first = _SODA_PREFIX.sub("", first)
        for noise in (" LINE ", "Candidate ", "Did you mean", " at line"):
            first = first.partition(noise)[0]
        reason = first.strip().rstrip("!.")
        problem = "This could not be checked." if not reason else f"This could not be checked: {reason[:300]}."
    return CheckReport(job.request.key, "error", redact(problem), _detail(job, reading))


def _detail(job: _Job, reading: Reading) -> str:
    """For engineers: the check, its SQL, what broke. Failed rows are counted, never copied."""
    parts = [job.request.definition.strip()]
    if reading.outcome and job.text.kind in (Kind.FAILED_ROWS, Kind.REFERENCE) and reading.value is not None:
        parts.append(f"Failed rows: {reading.value:.0f} (counted, not copied).")
    if reading.sql:
        parts.append("SQL:\n" + "\n\n".join(reading.sql))
    if reading.errors:
        parts.append("Errors:\n" + "\n".join(dict.fromkeys(reading.errors)))
    return redact("\n\n".join(parts))
