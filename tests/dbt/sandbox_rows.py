"""The sandbox company's billing as raw rows: its API objects through the Stripe connector's own shapes, without HTTP."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb

from sandbox.company import Company
from sources.connectors.shape import Shape
from sources.connectors.stripe import _derived, _derived_part
from sources.connectors.stripe_streams import LISTINGS, PARTS
from tests.dbt.raw_schema import RAW_SCHEMA


def stripe_rows(company: Company) -> dict[str, list[dict[str, Any]]]:
    """Rows by raw table, as a full sync would write them now."""
    ledger, catalog = company.ledger, company.catalog
    records = {
        "customers": ledger.customers,
        "products": catalog.products,
        "prices": catalog.prices,
        "coupons": catalog.coupons,
        "subscriptions": ledger.subscriptions,
        "invoices": ledger.invoices,
        "invoice_items": ledger.invoice_items,
        "charges": ledger.charges,
        "refunds": ledger.refunds,
    }
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, known in records.items():
        shape = Shape(LISTINGS[name].spec)
        drawn = [company.draw(record) for record in known.values()]
        rows[name] = [shape.row(item, is_deleted=bool(item.get("deleted")), **_derived(name, item)) for item in drawn]
    items, lines = Shape(PARTS["subscription_items"]), Shape(PARTS["invoice_lines"])
    rows["subscription_items"] = [
        items.row(item, **_derived_part("subscription_items", item, owner))
        for owner in map(company.draw, ledger.subscriptions.values())
        for item in owner["items"]["data"]
    ]
    rows["invoice_lines"] = []
    for invoice in ledger.invoices.values():
        owner = company.draw(invoice)
        drawn = [company.writer.line(line, invoice) for line in invoice.lines]
        rows["invoice_lines"] += [lines.row(line, **_derived_part("invoice_lines", line, owner)) for line in drawn]
    return {f"raw_stripe.{name}": table for name, table in rows.items()}


def load_by_file(path: Path, rows: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    """Load many rows quickly: by way of CSV files. The tables exist."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, records in rows.items():
            columns = [*RAW_SCHEMA[table], "_extra"]
            file = folder / f"{table}.csv"
            with file.open("w", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(columns)
                writer.writerows([_plain(record.get(name)) for name in columns] for record in records)
            names = ", ".join(f'"{name}"' for name in columns)
            connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM read_csv(?, all_varchar = true, nullstr = '\\N')",
                [str(file)],
            )


def _plain(value: Any) -> Any:
    return "\\N" if value is None else value
