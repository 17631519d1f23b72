"""What a new version of the marts says otherwise about months that were over and published: history that changed.

compare(warehouse, before, after)   the months whose MRR or customers differ, with whom it concerns and which invoices
because(before, after)              which definition changed between two builds; "" when only the data did

Both versions are read where they are published, in any warehouse. The month that runs is not history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from metrics.models import MetricSwitches
from portal import text
from portal.warehouse import Warehouse

MONTHLY = "mart_finance.mrr_monthly"
BY_CUSTOMER = "mart_finance.mrr_by_customer_month"
INVOICES = "mart_finance.mrr_invoices"
READINGS = "mart_finance.mrr_readings"
#: How many customers and invoices of a month are kept by name; all are counted.
NAMED = 5
#: Seconds that a worker waits for an answer.
TIMEOUT = 300.0
INVOICES_NAMED = 20
INVOICE = ("invoice_id", "invoice_number", "customer_id", "invoiced_on", "status_before", "status_after")

# The customers whose month says something else.
_CHANGED = f"""
with changed as (
    select
        coalesce(later.month, earlier.month) as month,
        coalesce(later.customer_id, earlier.customer_id) as customer_id,
        coalesce(earlier.mrr, 0) as mrr_before,
        coalesce(later.mrr, 0) as mrr_after
    from {BY_CUSTOMER} as later
    full outer join before_{BY_CUSTOMER} as earlier
        on later.customer_id = earlier.customer_id and later.month = earlier.month
    where
        coalesce(later.month, earlier.month) <= ?
        and (
            coalesce(later.mrr, 0) <> coalesce(earlier.mrr, 0)
            or coalesce(later.customers, 0) <> coalesce(earlier.customers, 0)
        )
)"""
_LARGEST = f"""{_CHANGED},
ranked as (
    select
        *,
        count(*) over (partition by month) as customers,
        row_number() over (partition by month order by abs(mrr_after - mrr_before) desc, customer_id) as place
    from changed
)
select month, customer_id, mrr_before, mrr_after, customers from ranked where place <= {NAMED} order by month, place
"""
# Their invoices that are new, gone or otherwise. One about a later service says nothing of the month.
_EVIDENCE = f"""{_CHANGED},
months as (
    select month, lead(month) over (order by month) as next_month from {MONTHLY}
),
invoices as (
    select
        coalesce(later.customer_id, earlier.customer_id) as customer_id,
        coalesce(later.invoice_id, earlier.invoice_id) as invoice_id,
        coalesce(later.invoice_number, earlier.invoice_number) as invoice_number,
        coalesce(later.invoiced_on, earlier.invoiced_on) as invoiced_on,
        coalesce(later.service_from, earlier.service_from) as service_from,
        earlier.status as status_before,
        later.status as status_after
    from {INVOICES} as later
    full outer join before_{INVOICES} as earlier on later.invoice_id = earlier.invoice_id
    where
        later.invoice_id is null
        or earlier.invoice_id is null
        or later.status <> earlier.status
        or later.total <> earlier.total
        or later.service_from <> earlier.service_from
        or later.service_to <> earlier.service_to
),
concerned as (
    select
        changed.month,
        invoices.*,
        count(*) over (partition by changed.month) as invoices,
        row_number() over (partition by changed.month order by invoices.invoiced_on desc, invoices.invoice_id) as place
    from changed
    inner join months on changed.month = months.month
    inner join invoices on changed.customer_id = invoices.customer_id and invoices.service_from < months.next_month
)
select * from concerned where place <= {INVOICES_NAMED} order by month, place
"""


@dataclass(frozen=True)
class Restated:
    """One month whose published numbers became others. `largest`: customer_id, before, after, of up to `NAMED`
    customers; `invoices`: invoice_id, invoice_number, customer_id, invoiced_on, status_before, status_after (None:
    there was none, or is none any more), of up to `INVOICES_NAMED`. `invoice_count` is None when nobody can tell."""

    month: date
    currency: str
    mrr_before: Decimal
    mrr_after: Decimal
    customers_before: int
    customers_after: int
    customers: int  # for how many something is different
    largest: tuple[dict[str, Any], ...] = ()
    invoice_count: int | None = None
    invoices: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """`note`: a sentence when months could not be compared one by one, or when what was seen of subscriptions is lost."""

    months: tuple[Restated, ...] = ()
    note: str = ""


def compare(warehouse: Warehouse, before: str, after: str) -> Comparison:
    """What version `after` makes of the months that were over in `before`. Raises `PortalError` when it cannot be read."""
    there = [set(warehouse.columns(location)) for location in (before, after)]
    found = _compare_months(warehouse, before, after, there)
    notes = [found.note, _begun_again(warehouse, before, after) if all(READINGS in marts for marts in there) else ""]
    return replace(found, note=" ".join(note for note in notes if note))


def _begun_again(warehouse: Warehouse, before: str, after: str) -> str:
    """Whether what was seen of subscriptions in earlier builds is gone, as a sentence."""
    asked = f"select min(watched_since) as since from {READINGS}"
    days = [warehouse.query(location, asked).rows[0][0] for location in (before, after)]
    if None in days or _day(days[1]) <= _day(days[0]):
        return ""
    earlier, later = (f"{day.day} {day:%B %Y}" for day in map(_day, days))
    return (
        f"What Stripe said of subscriptions is known since {later} only, before since {earlier}: the warehouse was emptied "
        "or restored, and what was seen in between is lost."
    )


def _compare_months(warehouse: Warehouse, before: str, after: str, there: Sequence[set[str]]) -> Comparison:
    if not all({MONTHLY, BY_CUSTOMER} <= marts for marts in there):
        return Comparison()
    earlier, later = (_months(warehouse, location) for location in (before, after))
    closed = [month for month, row in earlier.items() if row["is_complete"]]
    if not closed or not later:
        return Comparison()
    currencies = [{row["currency"] for row in rows.values()} for rows in (earlier, later)]
    if currencies[0] != currencies[1]:
        names = [text.listed([str(name).upper() for name in sorted(found)]) for found in currencies]
        return Comparison(
            note=f"All money is in {names[1]} from now on, before in {names[0]}; months that were over are not compared."
        )
    until = max(closed)
    customers = _by_month(warehouse.query(after, _LARGEST, [until], before=before, timeout=TIMEOUT).as_dicts())
    months = sorted(month for month in {*customers, *_differing(earlier, later)} if month <= until)
    if not months:
        return Comparison()
    invoices = None
    if all(INVOICES in marts for marts in there):
        invoices = _by_month(warehouse.query(after, _EVIDENCE, [until], before=before, timeout=TIMEOUT).as_dicts())
    return Comparison(tuple(_restated(month, earlier, later, customers.get(month, []), invoices) for month in months))


def _months(warehouse: Warehouse, location: str) -> dict[date, dict[str, Any]]:
    rows = warehouse.query(location, f"select * from {MONTHLY} where mrr is not null order by month").as_dicts()
    return {_day(row["month"]): row for row in rows}


def _differing(earlier: Mapping[date, Any], later: Mapping[date, Any]) -> set[date]:
    """Months that one version has and the other has not, or of which they tell another total."""
    nothing = {"mrr": 0, "customers": 0}
    return {
        month
        for month in {*earlier, *later}
        if any(earlier.get(month, nothing)[name] != later.get(month, nothing)[name] for name in nothing)
    }


def _restated(
    month: date,
    earlier: Mapping[date, Any],
    later: Mapping[date, Any],
    customers: Sequence[Mapping[str, Any]],
    invoices: Mapping[date, Sequence[Mapping[str, Any]]] | None,
) -> Restated:
    then, now = earlier.get(month, {}), later.get(month, {})
    known = None if invoices is None else invoices.get(month, ())
    return Restated(
        month=month,
        currency=str((now or then)["currency"]),
        mrr_before=Decimal(then.get("mrr") or 0),
        mrr_after=Decimal(now.get("mrr") or 0),
        customers_before=int(then.get("customers") or 0),
        customers_after=int(now.get("customers") or 0),
        customers=int(customers[0]["customers"]) if customers else 0,
        largest=tuple(
            {"customer_id": row["customer_id"], "before": row["mrr_before"], "after": row["mrr_after"]}
            for row in customers
        ),
        invoice_count=None if known is None else int(known[0]["invoices"]) if known else 0,
        invoices=tuple({name: row[name] for name in INVOICE} for row in known or ()),
    )


def _by_month(rows: Sequence[dict[str, Any]]) -> dict[date, list[dict[str, Any]]]:
    found: dict[date, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(_day(row["month"]), []).append(row)
    return found


def _day(value: Any) -> date:
    return value.date() if isinstance(value, datetime) else value


def because(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The definition that changed between two builds (`Build.definition`), as a clause; "" when none did, or when it is
    not known what one of them was built by."""
    if not before or not after:
        return ""
    reasons = []
    switches = [definition.get("switches", {}) for definition in (before, after)]
    changed = [name for name in sorted({*switches[0], *switches[1]}) if switches[0].get(name) != switches[1].get(name)]
    if changed:
        said = [f"{_label(name)} ({_said(switches[0].get(name))} → {_said(switches[1].get(name))})" for name in changed]
        reasons.append(f"the definition was changed: {text.listed(said)}")
    if before.get("rates") != after.get("rates"):
        reasons.append("the exchange rates on file were changed")
    if before.get("sql") != after.get("sql"):
        reasons.append("the SQL of the metrics was changed")
    return text.listed(reasons)


def _label(switch: str) -> str:
    """As the form in the admin says it."""
    known = {field.name: str(field.verbose_name) for field in MetricSwitches._meta.fields}
    return known.get(switch, switch.replace("_", " "))


def _said(value: Any) -> str:
    if value is None:
        return "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
