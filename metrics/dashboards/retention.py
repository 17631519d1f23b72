"""Retention and cohorts: who stays, what they pay, and whether newer customers stay longer than older ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from metrics.dashboards import words
from metrics.dashboards.choices import COUNTS, Choices
from metrics.dashboards.definitions import of_column, of_mart
from metrics.dashboards.executive import rate_tile
from metrics.dashboards.published import Published, Row
from metrics.dashboards.shapes import Board, Grid, Heat, Section, Tile
from metrics.dashboards.tables import Column, Table
from metrics.manifest import ProjectDoc
from portal import text

RETENTION = "mart_finance.revenue_retention"
COHORTS = "mart_finance.cohort_retention"
MARTS = (RETENTION, COHORTS)

NOTHING = "No retention yet: connect Stripe, or another billing source, and it appears after the first build."
RATE_TILES = (
    ("nrr", "NRR"),
    ("grr", "GRR"),
    ("customer_churn", "Customer churn"),
    ("net_mrr_churn", "Net MRR churn"),
    ("trial_conversion", "Trial conversion"),
)
REVENUE_COLUMNS = (
    Column("month", "Month", "month"),
    Column("start_mrr", "Start MRR", "money"),
    Column("nrr", "NRR", "rate"),
    Column("grr", "GRR", "rate"),
    Column("gross_mrr_churn", "Gross MRR churn", "rate"),
    Column("net_mrr_churn", "Net MRR churn", "rate"),
    Column("quick_ratio", "Quick ratio", "ratio"),
    Column("arpa", "ARPA", "money"),
    Column("ltv", "LTV", "money"),
)
CHURN_COLUMNS = (
    Column("month", "Month", "month"),
    Column("start_customers", "At the start", "count"),
    Column("lost_customers", "Lost", "count"),
    Column("customer_churn", "Customer churn", "rate"),
    Column("customer_churn_stripe", "Stripe's way", "rate"),
    Column("trials_ended", "Trials ended", "count"),
    Column("trials_converted", "Converted", "count"),
    Column("trial_conversion", "Trial conversion", "rate"),
)
AGE_COLUMNS = (
    Column("months_since", "Months since first payment", "count"),
    Column("retention", "Kept on average", "rate"),
    Column("cohorts", "Cohorts", "count"),
    Column("cohort_size", "Began with", "count"),
    Column("kept", "Kept", "count"),
)
# The columns of cohort_retention that each way to count uses: (rate, began with, still there).
COUNTED = {
    "mrr": ("mrr_retention", "cohort_mrr", "mrr"),
    "customers": ("customer_retention", "cohort_customers", "customers"),
}
AGES_SHOWN = 24
COHORTS_TO_TELL = 3


def read(published: Published, choices: Choices, docs: ProjectDoc) -> Board:
    rows = published.rows(RETENTION, order="month")
    cohorts = published.rows(COHORTS, order="cohort_month, months_since")
    if not rows and not cohorts:
        return Board(choices, problem=NOTHING)
    months = [row["month"] for row in rows] or sorted({row["month"] for row in cohorts})
    choices = choices.within(months)
    shown = [row for row in rows if row["month"] in set(choices.last(months))]
    return Board(
        choices,
        tiles=_tiles(shown, docs),
        sections=(
            _revenue(shown, docs),
            _churn(shown, docs),
            *_cohorts(published, choices, months, docs),
        ),
        months=months,
    )


def _tiles(shown: list[Row], docs: ProjectDoc) -> tuple[Tile, ...]:
    if not shown:
        return ()
    months = [row["month"] for row in shown]
    by_month = {row["month"]: row for row in shown}
    tiles = [rate_tile(key, label, months, by_month, docs) for key, label in RATE_TILES]
    over = [row for row in shown if row.get("is_complete") is not False]
    now, currency = (over or shown)[-1], words.currency_of(shown)
    when = f"in {words.month(now['month'], is_complete=now.get('is_complete'))}"
    ratio = now.get("quick_ratio")
    plain = (
        ("quick_ratio", "Quick ratio", "n/a" if ratio is None else text.number(ratio, 1)),
        ("arpa", "ARPA", text.money(now.get("arpa"), currency)),
        ("ltv", "LTV", "n/a" if now.get("ltv") is None else text.money(now["ltv"], currency)),
    )
    return (
        *tiles,
        *(
            Tile(key, label, value, when, definitions=(of_column(docs, RETENTION, key, label),))
            for key, label, value in plain
        ),
    )


def _over(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.get("is_complete") is not False]


def _revenue(shown: list[Row], docs: ProjectDoc) -> Section:
    title = "Revenue retention by month"
    if not shown:
        return Section("revenue", title, problem=words.absent("revenue retention", RETENTION))
    known = [row for row in _over(shown) if row.get("nrr") is not None]
    if known:
        above = sum(1 for row in known if row["nrr"] >= 1)
        last = known[-1]
        finding = (
            f"Customers who were there at the start of {last['month']:%B %Y} were worth {text.percent(last['nrr'])} of it "
            f"at its end (NRR), {text.percent(last.get('grr'))} without upgrades (GRR); NRR was 100% or more in "
            f"{above} of {text.plural(len(known), 'month')}."
        )
    else:
        finding = "No month is over yet that began with MRR, so there is no retention to speak of."
    about = [of_column(docs, RETENTION, column.name, column.label) for column in REVENUE_COLUMNS[1:]]
    return Section(
        "revenue",
        title,
        finding,
        Table(REVENUE_COLUMNS, shown[::-1]),
        has_chart=len(known) > 1,
        note="The axis of this chart does not begin at zero: retention of a month moves between narrow bounds.",
        definitions=(*about, of_mart(docs, RETENTION)),
    )


def _churn(shown: list[Row], docs: ProjectDoc) -> Section:
    title = "Customers lost by month"
    if not shown:
        return Section("churn", title, problem=words.absent("customer churn", RETENTION))
    known = [row for row in _over(shown) if row.get("customer_churn") is not None]
    if known:
        lost = sum(int(row.get("lost_customers") or 0) for row in known)
        most = max(known, key=lambda row: row["customer_churn"])
        finding = (
            f"{text.plural(lost, 'customer was', 'customers were')} lost in {text.plural(len(known), 'month')}; most in "
            f"{most['month']:%B %Y}, {text.percent(most['customer_churn'])} of those who were there."
        )
    else:
        finding = "No month is over yet that began with customers, so there is no churn to speak of."
    about = [of_column(docs, RETENTION, column.name, column.label) for column in CHURN_COLUMNS[1:]]
    return Section(
        "churn",
        title,
        finding,
        Table(CHURN_COLUMNS, shown[::-1]),
        has_chart=len(known) > 1,
        height="small",
        definitions=(*about, of_mart(docs, RETENTION)),
    )


def _cohorts(published: Published, choices: Choices, months: Sequence[date], docs: ProjectDoc) -> list[Section]:
    by, counted = COUNTS[choices.by], COUNTED[choices.by]
    titles = ("Kept since the first payment", "Cohort by cohort")
    if not published.has(COHORTS):
        problem = words.absent("cohorts", COHORTS)
        return [Section("ages", titles[0], problem=problem), Section("cohorts", titles[1], problem=problem)]
    rows = cohort_rows(published, choices, months)
    if not rows:
        problem = "No customer has paid yet, so there are no cohorts."
        return [Section("ages", titles[0], problem=problem), Section("cohorts", titles[1], problem=problem)]
    about = (of_column(docs, COHORTS, counted[0], f"Retention of {by}"), of_mart(docs, COHORTS))
    ages = by_age(rows, choices.by)
    currency = words.currency_of(rows)
    return [
        Section(
            "ages",
            f"{titles[0]}: {by}",
            _ages_finding(well_known(ages), choices.by),
            Table(_age_columns(choices.by), [{**age, "currency": currency} for age in ages]),
            has_chart=len(well_known(ages)) > 1,
            note="All cohorts that have reached that age together, weighted by their size; months that are not over do not "
            f"count. Ages that fewer than {COHORTS_TO_TELL} cohorts have reached are only in the table.",
            definitions=about,
        ),
        Section(
            "cohorts",
            f"{titles[1]}: {by}",
            _cohorts_finding(rows, choices.by),
            _cohort_table(rows, choices.by),
            grid=_grid(rows, choices.by),
            note="Each row is the customers of one month; month 0 is 100%. What has not happened yet is blank; the current month is in italics.",
            definitions=about,
        ),
    ]


def cohort_rows(published: Published, choices: Choices, months: Sequence[date]) -> list[Row]:
    """Cells of the cohorts that are wanted, up to the chosen month."""
    rows = published.rows(COHORTS, order="cohort_month, months_since")
    if choices.month:
        rows = [row for row in rows if row["month"] <= choices.month]
    began = sorted({row["cohort_month"] for row in rows})
    wanted = set(choices.last(began))
    return [row for row in rows if row["cohort_month"] in wanted]


def by_age(rows: Sequence[Row], by: str) -> list[Row]:
    """Retention by months since the first payment, over all cohorts that have got there: Σ still there ÷ Σ began."""
    _, began, kept = COUNTED[by]
    sums: dict[int, list[Any]] = {}
    for row in rows:
        # Month 0 is by definition whole, also of the cohort of the current month.
        if (row.get("is_complete") is False and row["months_since"]) or row.get(began) is None or row.get(kept) is None:
            continue
        one = sums.setdefault(int(row["months_since"]), [Decimal(0), Decimal(0), 0])
        one[0] += Decimal(row[began])
        one[1] += Decimal(row[kept])
        one[2] += 1
    return [
        {
            "months_since": age,
            "retention": still / size if size else None,
            "cohorts": count,
            "cohort_size": size,
            "kept": still,
        }
        for age, (size, still, count) in sorted(sums.items())
    ]


def well_known(ages: Sequence[Row]) -> list[Row]:
    """The ages that so many cohorts have reached that one of them does not decide; all of them in a young company."""
    return [age for age in ages if age["cohorts"] >= COHORTS_TO_TELL] or list(ages)


def _age_columns(by: str) -> tuple[Column, ...]:
    kind = "money" if by == "mrr" else "count"
    return tuple(
        Column(column.name, column.label, kind) if column.name in ("cohort_size", "kept") else column
        for column in AGE_COLUMNS
    )


def _ages_finding(ages: list[Row], by: str) -> str:
    what = "MRR" if by == "mrr" else "customers"
    said = [
        f"{text.percent(age['retention'], 0)} after {text.plural(age['months_since'], 'month')}"
        for age in ages
        if age["months_since"] in (1, 3, 6, 12, 24) and age["retention"] is not None
    ]
    if not said:
        return f"No cohort is a month old yet, so nobody can say how much of its {what} stays."
    return (
        f"Of the {what} a cohort begins with, {text.listed(said, most=6)} {'is' if by == 'mrr' else 'are'} still there."
    )


def _cohorts_finding(rows: Sequence[Row], by: str) -> str:
    """Whether newer cohorts keep more: the oldest and the newest that are three months old, or as old as there are."""
    rate = COUNTED[by][0]
    for age in (12, 6, 3, 1):
        known = [
            row
            for row in rows
            if row["months_since"] == age and row.get("is_complete") is not False and row.get(rate) is not None
        ]
        if len(known) >= 4:
            half = len(known) // 2
            older, newer = by_age(known[:half], by)[0]["retention"], by_age(known[half:], by)[0]["retention"]
            if older is None or newer is None:
                continue
            verb = "keep more" if newer > older else "keep less" if newer < older else "keep as much"
            return (
                f"Newer cohorts {verb} than older ones: after {text.plural(age, 'month')} {text.percent(newer)} "
                f"of the newer half, {text.percent(older)} of the older half."
            )
    return (
        f"{text.plural(len({row['cohort_month'] for row in rows}), 'cohort')}: too few of the same age to compare yet."
    )


def _cohort_table(rows: Sequence[Row], by: str) -> Table:
    rate, began, kept = COUNTED[by]
    kind = "money" if by == "mrr" else "count"
    columns = (
        Column("cohort_month", "Cohort", "month_name"),
        Column("months_since", "Months since", "count"),
        Column("month", "Month", "month"),
        Column(began, "Began with", kind),
        Column(kept, "Still there", kind),
        Column(rate, "Kept", "rate"),
    )
    return Table(columns, rows)


def _grid(rows: Sequence[Row], by: str) -> Grid:
    rate, began, _ = COUNTED[by]
    currency = words.currency_of(rows)
    oldest = min(max(int(row["months_since"]) for row in rows), AGES_SHOWN)
    found: dict[date, dict[int, Row]] = {}
    for row in rows:
        found.setdefault(row["cohort_month"], {})[int(row["months_since"])] = row
    lines = []
    for cohort in sorted(found, reverse=True):
        cells = found[cohort]
        first = next(iter(cells.values()))
        size = (
            text.money(first.get(began), currency)
            if by == "mrr"
            else text.plural(int(first.get(began) or 0), "customer")
        )
        lines.append(
            ((f"{cohort:%b %Y}", size), tuple(_heat(cells.get(age), rate) for age in range(oldest + 1))),
        )
    return Grid("Cohort", tuple(str(age) for age in range(oldest + 1)), tuple(lines))


def _heat(row: Row | None, rate: str) -> Heat:
    if row is None or row.get(rate) is None:
        return Heat()
    value = float(row[rate])
    return Heat(
        f"{value:.0%}",
        # Shades from 30% (and less) to 100% (and more, when upgrades outweigh losses), where cohorts differ.
        max(0, min(10, round((value - 0.3) / 0.07))),
        row.get("is_complete") is False and bool(row["months_since"]),
    )
