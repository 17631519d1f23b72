"""Whole portals in a known state, for tests of pages.

empty       nothing is connected
healthy     three sources, everything fresh and published, headline numbers
troubled    one source fails, one is late, one was never synced; the publication is held; a mail is not delivered
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import duckdb
from django.conf import settings
from django.utils import timezone

from metrics.models import Build
from portal.models import Publication
from portal.runs import RunStatus
from quality.models import Incident, Notification, Outcome
from sources.models import Attempt, Source, SyncRun
from tests import factories as make

MONTHS = 24


@dataclass
class Portal:
    sources: dict[str, Source] = field(default_factory=dict)
    run: SyncRun | None = None
    build: Build | None = None
    publication: Publication | None = None
    incident: Incident | None = None
    mail: Notification | None = None


def write_marts(location: str, *, months: int = MONTHS, columns: str = "*", mrr_from: int = 150_000) -> Path:
    """A published version with `mart_finance.mrr_monthly`; the last month is the current one."""
    folder = Path(settings.DATA_DIR) / "warehouse" / "published"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / location
    first = _months_back(timezone.localdate().replace(day=1), months - 1)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema mart_finance")
        connection.execute(
            f"create table mart_finance.mrr_monthly as select {columns} from ("
            " select (?::date + to_months(i::int))::date as month,"
            " (? + i * 900 + (i % 5) * 700)::decimal(18, 2) as mrr,"
            " 4100.00::decimal(18, 2) as new_mrr, 1800.00::decimal(18, 2) as expansion_mrr,"
            " 300.00::decimal(18, 2) as reactivated_mrr, -900.00::decimal(18, 2) as contraction_mrr,"
            " -2100.00::decimal(18, 2) as churned_mrr, 0::decimal(18, 2) as fx_mrr,"
            " 600 + i * 4 as customers, 'usd' as currency"
            " from range(?) as steps(i))",
            [first, mrr_from, months],
        )
    return path


def _months_back(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def beacons() -> None:
    for name in ("beat", "worker"):
        make.BeaconFactory(name=name)


def _source(slug: str, name: str, connector: str, schedule: str, streams: list[str], minutes: int) -> Source:
    source = make.SourceFactory(slug=slug, name=name, connector=connector, schedule=schedule)
    for stream in streams:
        make.StreamFactory(
            source=source,
            name=stream,
            freshness_minutes=minutes,
            cursor_value="2026-11-22T23:40:00+00:00",
            columns={"id": "text", "created": "timestamp", "amount": "bigint", "metadata": "json"},
        )
    return source


def _three_sources() -> dict[str, Source]:
    return {
        "stripe": _source(
            "stripe",
            "Stripe (billing)",
            "stripe",
            "0 * * * *",
            ["charges", "customers", "invoice_lines", "invoices", "prices", "products", "subscriptions"],
            120,
        ),
        "github": _source(
            "github", "GitHub (engineering)", "github", "*/30 * * * *", ["commits", "issues", "pulls", "reviews"], 180
        ),
        "postgres": _source(
            "postgres", "Product database", "postgres", "*/5 * * * *", ["events", "users", "workspaces"], 15
        ),
    }


def _synced(source: Source, ago: timedelta, *, rows: int = 1204, is_ok: bool = True) -> SyncRun:
    """One run of all streams of `source`, as the engine would leave it."""
    ended = timezone.now() - ago
    sentence = (
        "" if is_ok else "Stripe refused the key: it may not read invoices. Give it the permission “Invoices: read”."
    )
    detail = (
        ""
        if is_ok
        else "HTTP 403 from https://api.stripe.com/v1/invoices\n{'error': {'type': 'invalid_request_error'}}"
    )
    names = list(source.streams.values_list("name", flat=True))
    run = make.SyncRunFactory(
        source=source,
        status=RunStatus.SUCCEEDED if is_ok else RunStatus.FAILED,
        queued_at=ended - timedelta(seconds=9),
        started_at=ended - timedelta(seconds=8),
        finished_at=ended,
        failure_sentence=sentence,
        failure_detail=detail,
        has_new_data=is_ok,
        worker="extract@portal:41",
    )
    attempt = make.AttemptFactory(
        run=run,
        failed=not is_ok,
        failure_sentence=sentence,
        failure_detail=detail,
        rows=dict.fromkeys(names, rows) if is_ok else {names[0]: 40},
    )
    for stream in source.streams.all():
        make.StreamSyncFactory(
            stream=stream,
            attempt=attempt,
            rows=rows if is_ok else 0,
            is_ok=is_ok,
            finished_at=ended,
            failure_sentence=sentence,
        )
    return run


def healed_run(source: Source, ago: timedelta) -> SyncRun:
    """Two attempts: the first failed, the second brought the rows."""
    run = _synced(source, ago)
    last = run.attempts.get()
    run.attempts.update(number=2)
    make.AttemptFactory(
        run=run,
        number=1,
        failed=True,
        started_at=last.started_at - timedelta(seconds=60),
        finished_at=run.finished_at - timedelta(seconds=40),
    )
    return run


def running_run(source: Source) -> SyncRun:
    """A sync in the middle of its second stream."""
    run = make.SyncRunFactory(source=source, running=True, has_new_data=False)
    names = list(source.streams.values_list("name", flat=True))
    make.AttemptFactory(run=run, running=True, rows={names[0]: 18_400, names[1]: 2_310})
    return run


def finish_without_news(run: SyncRun) -> None:
    """The run ends well and nothing had changed."""
    run.attempts.update(status=Attempt.Status.SUCCEEDED, finished_at=timezone.now())
    SyncRun.objects.succeed(run.pk, has_new_data=False)


def datasets_of(source: Source) -> None:
    """What a build would leave behind: the source's raw tables, two marts and a dashboard."""
    events, monthly = (make.DatasetFactory(name=f"mart_finance.{name}") for name in ("mrr_events", "mrr_monthly"))
    monthly.reads.add(events)
    for stream in source.streams.all():
        raw = make.DatasetFactory(
            name=f"{source.dataset}.{stream.name}",
            layer="raw",
            source=source,
            stream=stream,
            outcome="",
            built_at=None,
            built_by=None,
        )
        events.reads.add(raw)
    make.ExposureFactory(name="mrr_dashboard", label="Dashboard: MRR and waterfall").reads.add(monthly)


def published(
    run: SyncRun, ago: timedelta = timedelta(minutes=12), *, location: str = "00000001.duckdb"
) -> Publication:
    """The build of this run with its checks, published `ago`."""
    ended = timezone.now() - ago
    build = make.BuildFactory(
        syncs=[run],
        changed=[f"{run.source.dataset}.invoices"],
        touched=[f"{run.source.dataset}.invoices", "mart_finance.mrr_events", "mart_finance.mrr_monthly"],
        feeds={run.source.dataset: ["mart_finance.mrr_events", "mart_finance.mrr_monthly"]},
        left_out=["pull_requests: no source called github has been synced"],
        started_at=ended - timedelta(seconds=4),
        finished_at=ended - timedelta(seconds=2),
    )
    for name in ("stg_stripe__invoices", "int_mrr_by_customer", "mrr_events", "mrr_monthly"):
        make.BuildNodeFactory(build=build, name=name, relation=f"mart_finance.{name}")
    for name in ("Every MRR event has an id of its own", "MRR adds up"):
        make.DbtResultFactory(build=build, check_row__name=name, value=0)
    scan = make.ScanFactory(
        build=build, started_at=ended - timedelta(seconds=2), finished_at=ended - timedelta(seconds=1)
    )
    make.CheckResultFactory(scan=scan, check_row__name="MRR by month lies between 150,000 and 250,000")
    make.CheckResultFactory(scan=scan, check_row__name="Every MRR event has a customer", value=0)
    datasets_of(run.source)
    write_marts(location)
    return make.PublicationFactory(
        build=build, scan=scan, location=location, started_at=ended - timedelta(seconds=1), finished_at=ended
    )


def empty() -> Portal:
    beacons()
    return Portal()


def healthy() -> Portal:
    """Everything fresh, published twelve minutes ago; the last Stripe run was healed by a retry."""
    beacons()
    sources = _three_sources()
    for hours in range(30, 1, -1):
        _synced(sources["stripe"], timedelta(hours=hours))
    run = healed_run(sources["stripe"], timedelta(minutes=14))
    _synced(sources["github"], timedelta(minutes=25), rows=310)
    _synced(sources["postgres"], timedelta(minutes=3), rows=8450)
    publication = published(run)
    return Portal(sources, run, publication.build, publication)


def troubled() -> Portal:
    """Stripe fails, the product database is late, GitHub was never synced; held for two hours; a mail is not out."""
    beacons()
    sources = _three_sources()
    good = _synced(sources["stripe"], timedelta(hours=5))
    _synced(sources["postgres"], timedelta(minutes=45), rows=8450)
    published(good, timedelta(hours=5))
    run = _synced(sources["stripe"], timedelta(minutes=6), is_ok=False)
    build = make.BuildFactory(syncs=[good], tests_failed=1)
    make.BuildNodeFactory(build=build, name="mrr_events")
    make.DbtResultFactory(
        build=build,
        check_row__name="MRR adds up",
        outcome=Outcome.FAIL,
        value=3,
        sentence="3 rows break it.",
        detail="Got 3 results",
    )
    scan = make.ScanFactory(build=build)
    make.CheckResultFactory(
        scan=scan,
        outcome=Outcome.FAIL,
        value=98_000,
        sentence="98,000 is not between 150,000 and 250,000.",
        check_row__name="Average MRR is plausible",
    )
    make.CheckResultFactory(scan=scan, outcome=Outcome.LEARNING, value=12, check_row__name="Churn is not unusual")
    two_hours_ago = timezone.now() - timedelta(hours=2)
    publication = make.PublicationFactory(
        build=build,
        scan=scan,
        held=True,
        finished_at=two_hours_ago,
        reasons=[
            "“Average MRR is plausible” does not hold: 98,000 is not between 150,000 and 250,000.",
            "MRR adds up (mart_finance.mrr_events): 3 rows break it.",
        ],
    )
    incident = make.IncidentFactory(
        source=sources["stripe"],
        title="Stripe (billing) could not be synced",
        sentence=run.failure_sentence,
        detail=run.failure_detail,
        path=run.get_absolute_url(),
        occurrences=4,
        fingerprint="sync:stripe",
        affected=[
            "Stripe (billing): no new rows since its last good sync.",
            "Built from it: mart_finance.mrr_monthly.",
        ],
    )
    make.IncidentFactory(
        kind=Incident.Kind.CHECK,
        title="“Average MRR is plausible” does not hold",
        sentence="98,000 is not between 150,000 and 250,000.",
        acknowledged=True,
    )
    make.IncidentFactory(resolved=True, fingerprint="sync:stripe", title="Stripe (billing) could not be synced")
    mail = make.NotificationFactory(
        incident=incident,
        undelivered=True,
        subject="Stripe (billing) could not be synced",
        text="Hello,\n\nStripe (billing) could not be synced.\n\nSince 07:10 today.",
        next_attempt_at=timezone.now() + timedelta(minutes=4),
    )
    return Portal(sources, run, build, publication, incident, mail)
