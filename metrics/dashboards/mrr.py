"""MRR and waterfall: what brought MRR from the start of a month to its end, and how the months compare."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from metrics.dashboards import restated, words
from metrics.dashboards.choices import Choices
from metrics.dashboards.customers import named
from metrics.dashboards.definitions import Definition, of_column, of_mart
from metrics.dashboards.published import Published, Row
from metrics.dashboards.shapes import Board, Section, Tile, trend
from metrics.dashboards.tables import Column, Table
from metrics.manifest import ProjectDoc
from portal import text

MONTHLY = "mart_finance.mrr_monthly"
WATERFALL = "mart_finance.mrr_waterfall"
SCHEDULED = "mart_finance.mrr_scheduled_churn"
READINGS = "mart_finance.mrr_readings"
DIFFERENCES = "mart_finance.mrr_reading_differences"
MARTS = (MONTHLY, WATERFALL, SCHEDULED, READINGS, DIFFERENCES)

STEPS = {
    "start": "At the start",
    **{key: label for key, (_, label) in words.MOVEMENTS.items()},
    "end": "At the end",
}
WATERFALL_COLUMNS = (
    Column("label", "Step"),
    Column("moved", "Movement", "signed"),
    Column("running", "MRR after it", "money"),
)
MONTH_COLUMNS = (
    Column("month", "Month", "month"),
    Column("start_mrr", "Start", "money"),
    *(Column(column, label, "signed") for column, label in words.MOVEMENTS.values()),
    Column("mrr", "End", "money"),
    Column("customers", "Customers", "count"),
)
# Only where a month of the table was published with another number before.
RESTATED_MONTH_COLUMNS = (
    *MONTH_COLUMNS,
    Column("first_mrr", "End as first published", "money"),
    Column("restated_on", "Restated on", "day"),
)
RESTATED_COLUMNS = (
    Column("month", "Month", "month_name"),
    Column("restated_on", "Restated on", "day"),
    Column("mrr_before", "MRR before", "cents"),
    Column("mrr_after", "MRR after", "cents"),
    Column("change", "Difference", "signed_cents"),
    Column("customers", "Customers", "count"),
    Column("why", "Why"),
)
DIFFERENCE_COLUMNS = (
    Column("month", "Month", "month_name"),
    Column("customer", "Customer"),
    Column("invoice_mrr", "By invoices", "cents"),
    Column("subscription_mrr", "By subscriptions", "cents"),
    Column("reason", "Why"),
)
SCHEDULED_COLUMNS = (
    Column("scheduled_on", "Ends on", "day"),
    Column("customer", "Customer"),
    Column("mrr", "MRR", "money"),
    Column("requested_on", "Cancelled on", "day"),
)


def read(published: Published, choices: Choices, docs: ProjectDoc) -> Board:
    monthly = [row for row in published.rows(MONTHLY, order="month") if row.get("mrr") is not None]
    if not monthly:
        return Board(choices, problem=words.NO_MRR)
    months = [row["month"] for row in monthly]
    choices = choices.within(months)
    by_month = {row["month"]: row for row in monthly}
    shown = [by_month[month] for month in choices.last(months)]
    changed = published.restated()
    return Board(
        choices,
        tiles=_tiles(shown, docs),
        sections=(
            _waterfall(published, shown[-1], docs),
            _months(restated.marked(shown, changed), docs),
            _scheduled(published, docs),
            *_restated(changed),
            *_readings(published, docs),
        ),
        months=months,
    )


def _tiles(shown: list[Row], docs: ProjectDoc) -> tuple[Tile, ...]:
    now, before = shown[-1], shown[-2] if len(shown) > 1 else None
    currency, is_open = words.currency_of(shown), now.get("is_complete") is False
    lead = Tile(
        "mrr",
        f"MRR, {words.month(now['month'], is_complete=not is_open)}",
        text.money(now["mrr"], currency),
        words.change(now["mrr"], before["mrr"], currency, before["month"]) if before else "The first month",
        trend(
            [float(row["mrr"]) for row in shown],
            f"MRR of {len(shown)} months, from {text.money(shown[0]['mrr'], currency)} "
            f"to {text.money(now['mrr'], currency)}",
            is_to_date=is_open,
        ),
        (of_column(docs, MONTHLY, "mrr", "MRR"), of_mart(docs, MONTHLY)),
        is_lead=True,
    )
    moved = [
        Tile(
            key,
            label,
            text.money(now.get(column), currency, signed=True),
            f"{text.money(before.get(column), currency, signed=True)} in {before['month']:%B}" if before else "",
            definitions=(of_column(docs, MONTHLY, column, label),),
        )
        for key, (column, label) in words.MOVEMENTS.items()
        # Exchange rates are nobody's doing; a tile of zeros would only distract.
        if key != "fx" or now.get(column)
    ]
    return (lead, *moved)


def waterfall_rows(published: Published, month: date) -> list[Row]:
    """The steps of one month in order, with the words for them and the MRR after each."""
    rows = published.rows(WATERFALL, where="month = ?", order="step_order", parameters=[month])
    return [
        {
            **row,
            "label": STEPS.get(str(row["step"]), str(row["step"])),
            # The start and the end are levels: nothing moved, MRR is what it is.
            "moved": None if row["step"] in ("start", "end") else row["amount"],
            "running": row["amount"] if row["step"] in ("start", "end") else row.get("bar_to"),
        }
        for row in rows
    ]


def _waterfall(published: Published, monthly: Row, docs: ProjectDoc) -> Section:
    month, currency = monthly["month"], words.currency_of([monthly])
    title = f"From start to end of {words.month(month, is_complete=monthly.get('is_complete'))}"
    if not published.has(WATERFALL):
        return Section("waterfall", title, problem=words.absent("waterfall", WATERFALL))
    rows = waterfall_rows(published, month)
    if not rows:
        return Section("waterfall", title, problem=f"The waterfall has no steps for {month:%B %Y}.")
    start, end = monthly.get("start_mrr"), monthly["mrr"]
    if start is None:
        begins = f"MRR ends at {text.money(end, currency)}"
    else:
        begins = (
            f"MRR went from {text.money(start, currency)} to {text.money(end, currency)}, "
            f"{words.movement(end - start, currency)}"
        )
    return Section(
        "waterfall",
        title,
        f"{begins}: {words.largest(monthly, currency)}.",
        Table(WATERFALL_COLUMNS, rows),
        has_chart=True,
        note="In the chart, zero is the MRR at the start of the month; bars show how far each step moved it.",
        definitions=(
            *(of_column(docs, MONTHLY, column, label) for column, label in words.MOVEMENTS.values()),
            of_mart(docs, WATERFALL),
        ),
    )


def _months(shown: list[Row], docs: ProjectDoc) -> Section:
    currency = words.currency_of(shown)
    # A month of a few days is no weak month.
    over = [row for row in shown if row.get("is_complete") is not False and row.get("start_mrr") is not None]
    net = [(row["month"], row["mrr"] - row["start_mrr"]) for row in over]
    if net:
        grown = sum(1 for _, change in net if change > 0)
        best, worst = max(net, key=lambda one: one[1]), min(net, key=lambda one: one[1])
        finding = (
            f"MRR grew in {grown} of {text.plural(len(net), 'month')}; "
            f"the best was {best[0]:%B %Y} ({text.money(best[1], currency, signed=True)}), "
            f"the weakest {worst[0]:%B %Y} ({text.money(worst[1], currency, signed=True)})"
        )
    else:
        finding = "No month is over yet"
    about: tuple[Definition, ...] = (
        of_column(docs, MONTHLY, "start_mrr", "Start"),
        *(of_column(docs, MONTHLY, column, label) for column, label in words.MOVEMENTS.values()),
        of_mart(docs, MONTHLY),
    )
    return Section(
        "months",
        "Movements by month",
        f"{finding}.",
        Table(RESTATED_MONTH_COLUMNS if any("restated_on" in row for row in shown) else MONTH_COLUMNS, shown[::-1]),
        has_chart=len(shown) > 1,
        height="huge",
        note=" ".join(_remarks(shown)),
        definitions=about,
    )


def _remarks(shown: list[Row]) -> list[str]:
    last = shown[-1]
    said = [f"{last['month']:%B %Y} is not over: its bars are to date."] if last.get("is_complete") is False else []
    return said + restated.remarks(shown)


def _restated(changed: Sequence[Row]) -> list[Section]:
    """Months that were over and are told otherwise now; no section while there are none."""
    if not changed:
        return []
    return [
        Section(
            "restated",
            "What changed in months that were over",
            str(changed[0]["sentence"]),
            Table(RESTATED_COLUMNS, changed),
            note="Each publication is compared with the one before; the month that runs is not compared.",
        )
    ]


def _readings(published: Published, docs: ProjectDoc) -> list[Section]:
    """MRR read a second way, from what Stripe said of subscriptions in each build; no section before that is kept."""
    months = published.rows(READINGS, order="month")
    if not months:
        return []
    now, since = months[-1], months[-1]["watched_since"]
    customers = text.plural(now["customers"], "customer")
    equal, known, unknown = (now[name] for name in ("equal_customers", "explained_customers", "unexplained_customers"))
    finding = "Read from invoices and from what Stripe says of subscriptions now, MRR is the same for "
    if equal == now["customers"]:
        finding += f"all {customers}."
    else:
        said = [f"{_differ(known)} for a known reason"] if known else []
        said += [f"{_differ(unknown)} and nobody knows why"] if unknown else []
        finding += f"{text.number(equal)} of {customers}; {text.listed(said)}."
    rows = named(published, published.rows(DIFFERENCES, order="month desc, abs(difference) desc, customer_id"))
    return [
        Section(
            "readings",
            "Invoices against subscriptions",
            finding,
            Table(DIFFERENCE_COLUMNS, rows) if rows else None,
            note=f"Subscriptions are watched since {since.day} {since:%B %Y}; months that ended before cannot be compared.",
            definitions=(of_mart(docs, READINGS), of_mart(docs, DIFFERENCES)),
        )
    ]


def _differ(count: int) -> str:
    return f"{text.number(count)} {'differs' if count == 1 else 'differ'}"


def _scheduled(published: Published, docs: ProjectDoc) -> Section:
    title = "Cancelled, but still paying"
    if not published.has(SCHEDULED):
        return Section("scheduled", title, problem=words.absent("list of scheduled churn", SCHEDULED))
    rows = named(published, published.rows(SCHEDULED, order="scheduled_on, mrr desc, subscription_id"))
    about = (of_column(docs, MONTHLY, "scheduled_churn_mrr", "Scheduled churn"), of_mart(docs, SCHEDULED))
    if not rows:
        return Section(
            "scheduled", title, finding="No cancellation is waiting for its period to end.", definitions=about
        )
    currency = words.currency_of(rows)
    total = sum((row["mrr"] for row in rows if row.get("mrr") is not None), start=rows[0]["mrr"] * 0)
    first: Any = rows[0]
    finding = (
        f"{text.money(total, currency)} of today's MRR will end with its period: "
        f"{text.plural(len(rows), 'subscription')}, the first on {first['scheduled_on'].day} {first['scheduled_on']:%B %Y}."
    )
    return Section(
        "scheduled",
        title,
        finding,
        Table(SCHEDULED_COLUMNS, rows),
        note="As of today, whatever month is chosen.",
        definitions=about,
    )
