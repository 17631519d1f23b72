"""History that changes, and says so: months that were over and published, and of which a publication says something else.

observe()    by the worker that publishes: this version against the one people see
sentence()   one restated month in words; headline() for all of one publication
told()       what dashboards mark and list
recent()     those of the last days, for whoever looks in
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from metrics.restatements import because, compare
from portal import text
from portal.failures import as_portal_error
from portal.models import Publication, Restatement
from portal.warehouse import Warehouse

logger = logging.getLogger(__name__)

#: For how long a restatement is news on every page.
NEWS_FOR = timedelta(days=7)
MOST_TOLD = 500


@dataclass(frozen=True)
class History:
    """Rows to be saved with the publication; `note`: what cannot be said in rows."""

    rows: tuple[Restatement, ...] = ()
    note: str = ""


def observe(warehouse: Warehouse, publication: Publication, location: str) -> History:
    """Compare the version at `location` with the one people see; never raises: then the note says that nobody knows."""
    current = Publication.objects.current()
    if current is None:
        return History()
    try:
        found = compare(warehouse, current.location, location)
        reason = because(current.build.definition, publication.build.definition)
        rows = [Restatement(publication=publication, because=reason, **asdict(month)) for month in found.months]
    except Exception as error:  # the numbers are right all the same; what is not known is said
        failure = as_portal_error(error)
        logger.warning("Two versions could not be compared: %s %s", failure.sentence, failure.detail)
        return History(note=f"Whether it changed months that were over is not known: {failure.sentence}")
    return History(tuple(rows), found.note)


# --- in words -------------------------------------------------------------------------------------------------------
def sentence(row: Restatement) -> str:
    """ "March 2026 was restated on 2 April: $41,200.00 → $41,640.00, 2 customers; an invoice of 14 March arrived." """
    on = _published_on(row.publication)
    when = f" on {_day(on, near=None)}" if on else ""
    return f"{row.month:%B %Y} was restated{when}: {difference(row)}; {why(row)}."


def headline(rows: Sequence[Restatement]) -> str:
    """All that one publication restated; "" when nothing was."""
    if not rows:
        return ""
    most = max(rows, key=lambda row: (abs(row.mrr_after - row.mrr_before), row.customers))
    if len(rows) == 1:
        return sentence(most)
    on = _published_on(most.publication)
    when = f" on {_day(on, near=None)}" if on else ""
    return (
        f"{text.number(len(rows))} months that were over were restated{when}, "
        f"most of all {most.month:%B %Y}: {difference(most)}; {why(most)}."
    )


def difference(row: Restatement) -> str:
    """ "$41,200.00 → $41,640.00, 2 customers"."""
    before, after = (text.money(each, row.currency, cents=True) for each in (row.mrr_before, row.mrr_after))
    concerned = text.plural(row.customers, "customer")
    return (
        f"{before} → {after}, {concerned}" if before != after else f"{before} as before, but otherwise for {concerned}"
    )


def why(row: Restatement) -> str:
    """A clause: the definition that changed, or the invoices that arrived or changed."""
    if row.because:
        return row.because
    if row.invoice_count is None:
        return "which invoices did it is not known"
    if not row.invoice_count:
        return "no invoice arrived or changed, so something else at Stripe did: a subscription, an item or a coupon"
    if row.invoice_count == 1:
        return what_became(row.invoices[0], row.month)
    latest = _invoiced_on(row.invoices[0])
    return f"{text.number(row.invoice_count)} invoices arrived or changed, the latest of {_day(latest, near=row.month)}"


def what_became(invoice: Mapping[str, Any], near: date) -> str:
    """ "an invoice of 14 March arrived", "the invoice of 14 March is void now"."""
    day = _day(_invoiced_on(invoice), near=near)
    before, after = invoice["status_before"], invoice["status_after"]
    if before is None:
        return f"an invoice of {day} arrived"
    if after is None:
        return f"the invoice of {day} is gone"
    return (
        f"the invoice of {day} was changed"
        if before == after
        else f"the invoice of {day} is {after} now, before {before}"
    )


def _invoiced_on(invoice: Mapping[str, Any]) -> date:
    value = invoice["invoiced_on"]
    return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])


def _day(day: date, near: date | None) -> str:
    """ "14 March"; with its year where it is not the one that was just said, or this one."""
    year = near.year if near else timezone.localdate().year
    return f"{day.day} {day:%B}" + ("" if day.year == year else f" {day.year}")


def _published_on(publication: Publication) -> date | None:
    return timezone.localtime(publication.finished_at).date() if publication.finished_at else None


# --- for pages ------------------------------------------------------------------------------------------------------
def told() -> list[dict[str, Any]]:
    """Every restatement of a publication that people saw, the newest first, as rows of a table. One query."""
    rows = Restatement.objects.select_related("publication").order_by("-publication_id", "-month")[:MOST_TOLD]
    return [
        {
            "month": row.month,
            "restated_on": _published_on(row.publication),
            "currency": row.currency,
            "mrr_before": row.mrr_before,
            "mrr_after": row.mrr_after,
            "change": row.mrr_after - row.mrr_before,
            "customers": row.customers,
            "why": why(row),
            "sentence": sentence(row),
        }
        for row in rows
    ]


@dataclass(frozen=True)
class Told:
    """One restated month for the page of its build: the sentence, and what an engineer looks for."""

    row: Restatement
    sentence: str
    customers: tuple[tuple[str, str, str], ...]  # (customer, MRR before, MRR after), the largest change first
    invoices: tuple[tuple[str, str, str], ...]  # (invoice, customer, what became of it), the latest first

    @property
    def more_customers(self) -> int:
        return self.row.customers - len(self.customers)

    @property
    def more_invoices(self) -> int:
        return (self.row.invoice_count or 0) - len(self.invoices)


def of_publication(publication: object) -> list[Told]:
    """What it restated, month by month. One query."""
    if not isinstance(publication, Publication):
        return []
    return [_told(row) for row in publication.restatements.select_related("publication").order_by("-month")]


def _told(row: Restatement) -> Told:
    return Told(
        row,
        sentence(row),
        tuple(
            (
                one["customer_id"],
                *(text.money(Decimal(one[name]), row.currency, cents=True) for name in ("before", "after")),
            )
            for one in row.largest
        ),
        tuple(
            (one["invoice_number"] or one["invoice_id"], one["customer_id"], what_became(one, row.month))
            for one in row.invoices
        ),
    )


def recent(now: datetime) -> list[Restatement]:
    """What the latest publication of the last days that restated anything made of which months. One query."""
    rows = list(
        Restatement.objects.filter(publication__finished_at__gte=now - NEWS_FOR)
        .select_related("publication")
        .order_by("-publication_id", "month")[:MOST_TOLD]
    )
    return [row for row in rows if row.publication_id == rows[0].publication_id]
