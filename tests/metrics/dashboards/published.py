"""A published version with every mart that dashboards read, made from a small company that is simulated on the spot.

publish("a.duckdb")                            all marts, 26 months, the last one is to date
publish("a.duckdb", without=["mart_finance.plan_vs_actual"])
"""

from __future__ import annotations

import csv
import random
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import duckdb
from django.conf import settings
from django.core.cache import cache

LAST = date(2026, 11, 1)
MONTHS = 26
ZERO = Decimal("0.00")
CENT = Decimal("0.01")
MOVEMENTS = {
    "new": "new_mrr",
    "expansion": "expansion_mrr",
    "contraction": "contraction_mrr",
    "churn": "churned_mrr",
    "reactivation": "reactivated_mrr",
    "fx": "fx_mrr",
}
MART_COLUMNS = {
    "mrr_monthly": "month date, currency varchar, start_mrr decimal(18,2), new_mrr decimal(18,2), expansion_mrr decimal(18,2),"
    " contraction_mrr decimal(18,2), churned_mrr decimal(18,2), reactivated_mrr decimal(18,2), fx_mrr decimal(18,2),"
    " mrr decimal(18,2), customers bigint, new_customers bigint, lost_customers bigint, returned_customers bigint,"
    " scheduled_churn_mrr decimal(18,2), is_complete boolean",
    "mrr_by_customer_month": "customer_id varchar, month date, currency varchar, start_mrr decimal(18,2),"
    " new_mrr decimal(18,2), expansion_mrr decimal(18,2), contraction_mrr decimal(18,2), churned_mrr decimal(18,2),"
    " reactivated_mrr decimal(18,2), fx_mrr decimal(18,2), mrr decimal(18,2), customers bigint",
    "mrr_scheduled_churn": "subscription_id varchar, customer_id varchar, scheduled_on date, requested_on date,"
    " currency varchar, mrr decimal(18,2)",
    "mrr_waterfall": "month date, step varchar, step_order bigint, amount decimal(18,2), bar_from decimal(18,2),"
    " bar_to decimal(18,2), currency varchar, is_complete boolean",
    "revenue_retention": "month date, currency varchar, start_mrr decimal(18,2), mrr decimal(18,2), start_customers bigint,"
    " customers bigint, lost_customers bigint, customer_churn double, customer_churn_stripe double, gross_mrr_churn double,"
    " net_mrr_churn double, nrr double, grr double, quick_ratio double, arpa decimal(18,2), arr decimal(18,2),"
    " ltv decimal(18,2), trials_ended bigint, trials_converted bigint, trial_conversion double, is_complete boolean",
    "cohort_retention": "cohort_month date, months_since bigint, month date, currency varchar, cohort_customers bigint,"
    " customers bigint, cohort_mrr decimal(18,2), mrr decimal(18,2), customer_retention double, mrr_retention double,"
    " is_complete boolean",
    "mrr_readings": "month date, watched_since date, customers bigint, equal_customers bigint,"
    " explained_customers bigint, unexplained_customers bigint, is_complete boolean",
    "mrr_reading_differences": "customer_id varchar, month date, currency varchar, invoice_mrr decimal(18,2),"
    " subscription_mrr decimal(18,2), difference decimal(18,2), reason varchar, is_explained boolean",
    "plan_vs_actual": "month date, currency varchar, plan_mrr decimal(18,2), actual_mrr decimal(18,2),"
    " variance decimal(18,2), percent_of_plan double, is_complete boolean",
}


@dataclass
class Customer:
    name: str
    since: date
    mrr: Decimal
    history: dict[date, Decimal] = field(default_factory=dict)


def after(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def publish(
    location: str,
    *,
    without: Collection[str] = (),
    months: int = MONTHS,
    last: date = LAST,
    names: str = "cus_{:04d}",
    seed: int = 7,
) -> Path:
    """Write it where a publication with this location is looked for; returns the path."""
    path = Path(settings.DATA_DIR) / "warehouse" / "published" / location
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_file(frozenset(without), months, last, names, seed))
    cache.clear()  # a version never changes, except here
    return path


@lru_cache(maxsize=32)
def _file(without: frozenset[str], months: int, last: date, names: str, seed: int) -> bytes:
    rows = _marts(random.Random(seed), months, last, names) if months else {mart: [] for mart in MART_COLUMNS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "published.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("create schema mart_finance")
            for mart, columns in MART_COLUMNS.items():
                if f"mart_finance.{mart}" in without:
                    continue
                connection.execute(f"create table mart_finance.{mart} ({columns})")
                lines = Path(folder) / f"{mart}.csv"
                with lines.open("w", newline="") as file:
                    csv.writer(file).writerows(rows[mart])
                if rows[mart]:
                    connection.execute(f"copy mart_finance.{mart} from '{lines}' (header false, nullstr '')")
        return path.read_bytes()


def _marts(chance: random.Random, months: int, last: date, names: str) -> dict[str, list[tuple]]:
    found: dict[str, list[tuple]] = {mart: [] for mart in MART_COLUMNS}
    found["mrr_readings"] = [(last, date(2026, 9, 16), 40, 37, 2, 1, False)]
    found["mrr_reading_differences"] = [
        ("cus_0001", last, "eur", Decimal("75.00"), ZERO, Decimal("75.00"), "pause", True),
        ("cus_0002", last, "usd", Decimal("12.50"), Decimal("10.00"), Decimal("2.50"), "unexplained", False),
    ]
    customers: list[Customer] = []
    cohort_sizes: dict[date, tuple[int, Decimal]] = {}
    for number in range(months):
        month = after(last, number - months + 1)
        is_complete = month < last
        start, moved, lost, start_customers = ZERO, dict.fromkeys(MOVEMENTS, ZERO), 0, 0
        opening = list(customers)
        for customer in opening:
            before = customer.mrr
            start += before
            start_customers += before > 0
            kind, change = _movement(chance, before)
            customer.mrr = before + change
            if kind:
                moved[kind] += change
                lost += kind == "churn"
            _customer_row(found, customer, month, before, kind, change)
        for _ in range(chance.randint(3, 6)):
            customer = Customer(names.format(len(customers)), month, Decimal(chance.randint(40, 400)) + CENT * 50)
            customers.append(customer)
            moved["new"] += customer.mrr
            _customer_row(found, customer, month, ZERO, "new", customer.mrr)
        new = [customer for customer in customers if customer.since == month]
        cohort_sizes[month] = (len(new), sum((customer.mrr for customer in new), ZERO))
        end, count = (
            sum((customer.mrr for customer in customers), ZERO),
            sum(customer.mrr > 0 for customer in customers),
        )
        found["mrr_monthly"].append(
            (
                month,
                "usd",
                start,
                *(moved[kind] for kind in MOVEMENTS),
                end,
                count,
                len(new),
                lost,
                0,
                None,
                is_complete,
            )
        )
        _waterfall_rows(found, month, start, moved, end, is_complete)
        _retention_row(found, month, start, moved, end, start_customers, count, lost, is_complete)
        plan = (Decimal(900) + 700 * number).quantize(CENT)
        found["plan_vs_actual"].append((month, "usd", plan, end, end - plan, float(end / plan), is_complete))
        for cohort, (size, cohort_mrr) in cohort_sizes.items():
            those = [customer for customer in customers if customer.since == cohort]
            still, mrr = sum(customer.mrr > 0 for customer in those), sum((customer.mrr for customer in those), ZERO)
            since = (month.year - cohort.year) * 12 + month.month - cohort.month
            found["cohort_retention"].append(
                (
                    cohort,
                    since,
                    month,
                    "usd",
                    size,
                    still,
                    cohort_mrr,
                    mrr,
                    still / size,
                    float(mrr / cohort_mrr),
                    is_complete,
                )
            )
    staying = [customer for customer in customers if customer.mrr > 0][:3]
    found["mrr_scheduled_churn"] = [
        (f"sub_{number}", customer.name, date(last.year, last.month, 20 + number), last, "usd", customer.mrr)
        for number, customer in enumerate(staying)
    ]
    return found


def _movement(chance: random.Random, before: Decimal) -> tuple[str, Decimal]:
    luck = chance.random()
    if before == 0:
        return ("reactivation", Decimal("120.00")) if luck < 0.03 else ("", ZERO)
    if luck < 0.025:
        return "churn", -before
    if luck < 0.06:
        return "contraction", -(before / 4).quantize(CENT)
    if luck < 0.14:
        return "expansion", (before / 3).quantize(CENT)
    return "", ZERO


def _customer_row(
    found: dict[str, list[tuple]], customer: Customer, month: date, before: Decimal, kind: str, change: Decimal
) -> None:
    amounts = [change if kind == one else ZERO for one in MOVEMENTS]
    found["mrr_by_customer_month"].append(
        (customer.name, month, "usd", before, *amounts, before + change, int(before + change > 0))
    )


def _waterfall_rows(
    found: dict[str, list[tuple]],
    month: date,
    start: Decimal,
    moved: dict[str, Decimal],
    end: Decimal,
    is_complete: bool,
) -> None:
    steps = ["new", "expansion", "reactivation", "contraction", "churn", "fx"]
    rows, level = [(month, "start", 1, start, ZERO, start, "usd", is_complete)], start
    for order, step in enumerate(steps, start=2):
        rows.append((month, step, order, moved[step], level, level + moved[step], "usd", is_complete))
        level += moved[step]
    assert level == end
    found["mrr_waterfall"] += [*rows, (month, "end", 8, end, ZERO, end, "usd", is_complete)]


def _retention_row(
    found: dict[str, list[tuple]],
    month: date,
    start: Decimal,
    moved: dict[str, Decimal],
    end: Decimal,
    start_customers: int,
    count: int,
    lost: int,
    is_complete: bool,
) -> None:
    gone = -(moved["churn"] + moved["contraction"])

    def of_start(amount: Decimal) -> float | None:
        return float(amount / start) if start else None

    churn = lost / start_customers if start_customers else None
    arpa = (end / count).quantize(CENT)
    found["revenue_retention"].append(
        (
            month,
            "usd",
            start,
            end,
            start_customers,
            count,
            lost,
            churn,
            lost / (start_customers + 4),
            of_start(gone),
            of_start(gone - moved["expansion"] - moved["reactivation"]),
            of_start(start + moved["expansion"] - gone),
            of_start(start - gone),
            float((moved["new"] + moved["expansion"]) / gone) if gone else None,
            arpa,
            end * 12,
            (arpa / Decimal(str(churn))).quantize(CENT) if churn else None,
            5,
            2,
            0.4,
            is_complete,
        )
    )
