"""What customers are called: by their name at Stripe, as far as the published version knows it, else by their id."""

from __future__ import annotations

from metrics.dashboards.published import Published, Row

CUSTOMERS = "mart_core.customers"


def named(published: Published, rows: list[Row]) -> list[Row]:
    """The same rows with `customer`, what people call `customer_id`."""
    ids = sorted({row["customer_id"] for row in rows})
    marks = ", ".join("?" for _ in ids)
    found = (
        published.rows(CUSTOMERS, where=f"customer_id in ({marks})", order="customer_id", parameters=ids) if ids else []
    )
    names = {each["customer_id"]: each.get("customer") for each in found}
    return [{**row, "customer": names.get(row["customer_id"]) or row["customer_id"]} for row in rows]
