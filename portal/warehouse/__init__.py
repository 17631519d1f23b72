"""The warehouse of this portal, by `WAREHOUSE_URL`."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from portal.warehouse.base import QueryResult, Warehouse

__all__ = ["QueryResult", "Warehouse", "get_warehouse", "warehouse_at"]

ADAPTERS: dict[str, str] = {
    "bigquery": "portal.warehouse.bigquery.BigQueryWarehouse",
    "duckdb": "portal.warehouse.duckdb.DuckDBWarehouse",
    "postgresql": "portal.warehouse.postgres.PostgresWarehouse",
}


@cache
def warehouse_at(url: str) -> Warehouse:
    scheme = url.partition(":")[0]
    if scheme not in ADAPTERS:
        raise ImproperlyConfigured(
            f"WAREHOUSE_URL starts with “{scheme}:”, which this portal cannot write to. Use one of: "
            f"{', '.join(f'{name}:' for name in sorted(ADAPTERS))}"
        )
    return import_string(ADAPTERS[scheme])(url)


def get_warehouse() -> Warehouse:
    return warehouse_at(settings.WAREHOUSE_URL)
