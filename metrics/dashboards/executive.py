"""Executive: thirty seconds on a phone. How much, against last month and plan, and what moved it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
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
RETENTION = "mart_finance.revenue_retention"
PLAN = "mart_finance.plan_vs_actual"
BY_CUSTOMER = "mart_finance.mrr_by_customer_month"
MARTS = (MONTHLY, RETENTION, PLAN, BY_CUSTOMER)
MOVERS = 12

PLAN_COLUMNS = (
    Column("month", "Month", "month"),
    Column("mrr", "MRR", "money"),
    Column("plan_mrr", "Plan", "money"),
    Column("variance", "Difference", "signed"),
    Column("percent_of_plan", "Of plan", "rate"),
    Column("customers", "Customers", "count"),
)
MOVER_COLUMNS = (
    Column("customer", "Customer"),
    Column("change", "Change", "signed"),
    Column("movements", "What happened"),
    Column("start_mrr", "Before", "money"),
    Column("mrr", "After", "money"),
)


def read(published: Published, choices: Choices, docs: ProjectDoc) -> Board:
    monthly = [row for row in published.rows(MONTHLY, order="month") if row.get("mrr") is not None]
    if not monthly:
        return Board(choices, problem=words.NO_MRR)
    months = [row["month"] for row in monthly]
    choices = choices.within(months)
    retention = {row["month"]: row for row in published.rows(RETENTION, order="month")}
    plan = {row["month"]: row for row in published.rows(PLAN, order="month")}
    by_month = {row["month"]: row for row in monthly}
    shown = restated.marked([by_month[month] for month in choices.last(months)], published.restated())
    return Board(
        choices,
        tiles=(
            *_money_tiles(shown, retention, plan, docs),
            *_rate_tiles(shown, retention, docs),
        ),
        sections=(
            _mrr(shown, plan, docs),
            _moved(published, shown[-1], docs),
        ),
        months=months,
    )


def _money_tiles(shown: list[Row], retention: dict[date, Row], plan: dict[date, Row], docs: ProjectDoc) -> list[Tile]:
    now, before = shown[-1], shown[-2] if len(shown) > 1 else None
    currency = words.currency_of(shown)
    month, is_open = now["month"], now.get("is_complete") is False
    against = words.change(now["mrr"], before["mrr"], currency, before["month"]) if before else "The first month"
    arr, planned = retention.get(month, {}).get("arr"), plan.get(month, {})
    tiles = [
        Tile(
            "mrr",
            f"MRR, {words.month(month, is_complete=not is_open)}",
            text.money(now["mrr"], currency),
            against,
            trend(
                [float(row["mrr"]) for row in shown],
                f"MRR of {len(shown)} months, from {text.money(shown[0]['mrr'], currency)} "
                f"to {text.money(now['mrr'], currency)}",
                is_to_date=is_open,
            ),
            (of_column(docs, MONTHLY, "mrr", "MRR"), of_mart(docs, MONTHLY)),
            is_lead=True,
        ),
        Tile(
            "arr",
            "ARR",
            text.money(arr, currency),
            f"at the MRR of {words.month(month, is_complete=not is_open)}" if arr is not None else _needs_retention(),
            definitions=(of_column(docs, RETENTION, "arr", "ARR"),),
        ),
        _plan_tile(planned, month, currency, is_open, docs),
        Tile(
            "customers",
            "Customers",
            text.number(now.get("customers")),
            _customers_note(now, before),
            trend(
                [words.number(row.get("customers")) for row in shown],
                f"Customers over {len(shown)} months, from {text.number(shown[0].get('customers'))} "
                f"to {text.number(now.get('customers'))}",
                is_to_date=is_open,
            ),
            (of_column(docs, MONTHLY, "customers", "Customers"),),
        ),
    ]
    return tiles


def _plan_tile(planned: Row, month: date, currency: str, is_open: bool, docs: ProjectDoc) -> Tile:
    about = (of_column(docs, PLAN, "percent_of_plan", "Of plan"), of_column(docs, PLAN, "plan_mrr", "Plan"))
    if planned.get("plan_mrr") is None:
        return Tile("plan", "Against plan", "unknown", f"No plan is known for {month:%B %Y}.", definitions=about)
    variance = words.decimal(planned.get("variance"))
    note = f"a plan of {text.money(planned['plan_mrr'], currency)}"
    if variance is not None:
        note = f"{text.money(variance, currency, signed=True)} against {note}"
    if is_open:
        # What is planned is the month's end, which is still to come.
        note += f" for {words.end_of(month)}"
    label = "Of plan, to date" if is_open else "Of plan"
    return Tile("plan", label, text.percent(planned.get("percent_of_plan")), note, definitions=about)


def _customers_note(now: Row, before: Row | None) -> str:
    if not before or now.get("customers") is None or before.get("customers") is None:
        return ""
    difference = now["customers"] - before["customers"]
    sign = "+" if difference > 0 else ""
    said = [f"{sign}{text.number(difference)} against {words.end_of(before['month'])}"]
    if now.get("new_customers") is not None and now.get("lost_customers") is not None:
        said.append(f"{text.number(now['new_customers'])} won, {text.number(now['lost_customers'])} lost")
    return ": ".join(said)


RATES = (
    ("nrr", "NRR", "Net revenue retention"),
    ("grr", "GRR", "Gross revenue retention"),
    ("customer_churn", "Customer churn", "Customer churn"),
)


def _rate_tiles(shown: list[Row], retention: dict[date, Row], docs: ProjectDoc) -> list[Tile]:
    return [rate_tile(key, label, [row["month"] for row in shown], retention, docs) for key, label, _ in RATES]


def rate_tile(key: str, label: str, months: list[date], retention: dict[date, Row], docs: ProjectDoc) -> Tile:
    """The rate of the last month that is over: a month of three days has next to no churn, which is no good news."""
    about = (of_column(docs, RETENTION, key, label),)
    known = [retention[month] for month in months if month in retention]
    if not known:
        return Tile(key, label, "unknown", _needs_retention(), definitions=about)
    over = [row for row in known if row.get("is_complete") is not False]
    if not over:
        return Tile(key, label, "n/a", "No month is over yet.", definitions=about)
    now = over[-1]
    note = f"in {words.month(now['month'])}"
    if len(over) > 1 and (difference := words.points(_rate(now, key), _rate(over[-2], key))):
        note += f", {difference} against {over[-2]['month']:%B}"
    if known[-1] is not now and known[-1].get(key) is not None:
        note += f"; {text.percent(known[-1][key])} in {known[-1]['month']:%B} to date"
    return Tile(
        key,
        label,
        text.percent(now.get(key)),
        note,
        trend(
            [words.number(row.get(key)) for row in over],
            f"{label} of {len(over)} months, from {text.percent(over[0].get(key))} to {text.percent(now.get(key))}",
        ),
        about,
    )


def _rate(row: Row, key: str) -> Decimal | None:
    return words.decimal(row.get(key))


def _needs_retention() -> str:
    return "The published data has no revenue retention yet."


def _mrr(shown: list[Row], plan: dict[date, Row], docs: ProjectDoc) -> Section:
    rows = [{**row, **_planned(plan.get(row["month"], {}))} for row in shown]
    has_plan = any(row["plan_mrr"] is not None for row in rows)
    first, last, currency = rows[0], rows[-1], words.currency_of(rows)
    finding = f"MRR is {text.money(last['mrr'], currency)}"
    if len(rows) > 1:
        finding += (
            f", {words.movement(last['mrr'] - first['mrr'], currency)} since {words.end_of(first['month'])} "
            f"{first['month']:%Y}"
        )
    if last["plan_mrr"] is not None:
        gap = last["mrr"] - words.decimal(last["plan_mrr"])
        below = (
            "on plan" if round(gap) == 0 else f"{text.money(abs(gap), currency)} {'above' if gap > 0 else 'below'} plan"
        )
        finding += f" and {below}"
        if last.get("is_complete") is False:
            finding += f" for {words.end_of(last['month'])}"
    remarks = [] if has_plan else ["No plan to compare with yet: connect the finance team's sheet."]
    return Section(
        "mrr",
        "MRR against plan" if has_plan else "MRR",
        finding + ".",
        Table(PLAN_COLUMNS if has_plan else (*PLAN_COLUMNS[:2], PLAN_COLUMNS[-1]), rows[::-1]),
        has_chart=len(rows) > 1,
        note=" ".join(remarks + restated.remarks(rows)),
        definitions=(
            of_column(docs, MONTHLY, "mrr", "MRR"),
            *((of_column(docs, PLAN, "plan_mrr", "Plan"), of_mart(docs, PLAN)) if has_plan else ()),
            of_mart(docs, MONTHLY),
        ),
    )


def _planned(row: Row) -> dict[str, Any]:
    return {name: row.get(name) for name in ("plan_mrr", "variance", "percent_of_plan")}


def _moved(published: Published, monthly: Row, docs: ProjectDoc) -> Section:
    month, currency = monthly["month"], words.currency_of([monthly])
    title = f"What moved it in {words.month(month, is_complete=monthly.get('is_complete'))}"
    if not published.has(BY_CUSTOMER):
        return Section("movers", title, problem=words.absent("movements by customer", BY_CUSTOMER))
    rows = [_mover(row) for row in movers(published, month)]
    about: tuple[Definition, ...] = (
        *(of_column(docs, BY_CUSTOMER, column, label) for column, label in words.MOVEMENTS.values()),
        of_mart(docs, BY_CUSTOMER),
    )
    if not rows:
        return Section("movers", title, finding=f"Nothing moved in {month:%B %Y}.", definitions=about)
    top = rows[0]
    finding = (
        f"The biggest movement is {top['customer']} with {text.money(top['change'], currency, signed=True)} "
        f"({top['movements']}); in all, {words.largest(monthly, currency)}."
    )
    return Section(
        "movers",
        title,
        finding,
        Table(MOVER_COLUMNS, rows),
        has_chart=True,
        height="tall" if len(rows) > 5 else "medium",
        note=f"The {MOVERS} customers whose MRR changed most." if len(rows) == MOVERS else "",
        definitions=about,
    )


def movers(published: Published, month: date) -> list[Row]:
    """The customers whose MRR changed most in the month, the biggest change first."""
    rows = published.rows(
        BY_CUSTOMER,
        where="month = ? and mrr <> start_mrr",
        order="abs(mrr - start_mrr) desc, customer_id",
        parameters=[month],
        limit=MOVERS,
    )
    return named(published, rows)


def _mover(row: Row) -> Row:
    moved = {key: row[column] for key, (column, _) in words.MOVEMENTS.items() if row.get(column)}
    return {
        **row,
        "change": row["mrr"] - row["start_mrr"],
        "movements": text.listed([words.MOVEMENTS[key][1].lower() for key in moved]),
        # What colours the bar: the movement that did most.
        "main": max(moved, key=lambda key: abs(moved[key]), default="fx"),
    }
