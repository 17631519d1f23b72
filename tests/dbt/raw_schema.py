"""The raw tables as connectors write them, empty or with rows of a test's own, in a DuckDB file.

The columns are the contract between connectors and dbt; a table here has nothing that a connector does not write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from sources.connectors import get_connector

_TYPES = {
    "text": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "json": "VARCHAR",
    "decimal": "DECIMAL(12, 2)",
}


def _declared(connector: str, *names: str) -> dict[str, dict[str, str]]:
    """Tables of streams that declare their columns, as the connector itself says."""
    specs = {spec.name: spec for spec in get_connector(connector).streams}
    return {
        f"raw_{connector}.{name}": {
            column.name: column.type for column in specs[name].columns if column.name != "_extra"
        }
        for name in names
    }


def _columns(**by_type: str) -> dict[str, str]:
    return {name: kind for kind, names in by_type.items() for name in names.split()}


RAW_SCHEMA: dict[str, dict[str, str]] = {
    "raw_stripe.customers": _columns(
        text="id email name description currency",
        timestamp="created",
        bigint="balance",
        bool="delinquent is_deleted",
        json="metadata",
    ),
    "raw_stripe.products": _columns(
        text="id name description", timestamp="created updated", bool="active is_deleted", json="metadata"
    ),
    "raw_stripe.prices": _columns(
        text="id product_id currency unit_amount_decimal type billing_scheme tiers_mode recurring_interval "
        "recurring_usage_type nickname",
        timestamp="created",
        bool="active",
        bigint="unit_amount recurring_interval_count",
        json="tiers metadata",
    ),
    "raw_stripe.coupons": _columns(
        text="id name currency duration",
        timestamp="created",
        double="percent_off",
        bigint="amount_off duration_in_months",
        bool="valid",
    ),
    "raw_stripe.invoice_items": _columns(
        text="id customer_id subscription_id subscription_item_id invoice_id price_id description currency "
        "unit_amount_decimal recurring_interval recurring_usage_type",
        timestamp="created period_start period_end",
        bigint="amount quantity unit_amount recurring_interval_count",
        bool="proration is_deleted",
        json="metadata",
    ),
    "raw_stripe.subscriptions": _columns(
        text="id customer_id status currency pause_behavior latest_invoice_id collection_method discount_coupon_id "
        "discount_duration",
        timestamp="created start_date current_period_start current_period_end trial_start trial_end cancel_at "
        "canceled_at ended_at pause_resumes_at discount_start discount_end",
        bool="cancel_at_period_end",
        double="discount_percent_off",
        bigint="discount_amount_off",
        json="metadata",
    ),
    "raw_stripe.subscription_items": _columns(
        text="id subscription_id price_id product_id currency unit_amount_decimal recurring_interval "
        "recurring_usage_type",
        bigint="quantity unit_amount recurring_interval_count",
        timestamp="created",
        bool="is_deleted",
    ),
    "raw_stripe.invoices": _columns(
        text="id customer_id subscription_id number status currency billing_reason discount_coupon_id charge_id",
        timestamp="created period_start period_end due_date finalized_at paid_at voided_at marked_uncollectible_at "
        "next_payment_attempt",
        bigint="amount_due amount_paid amount_remaining subtotal tax total attempt_count",
    ),
    "raw_stripe.invoice_lines": _columns(
        text="id invoice_id customer_id subscription_id subscription_item_id price_id product_id type description "
        "currency unit_amount_decimal recurring_interval recurring_usage_type billing_scheme",
        bigint="amount quantity discount_amount tax_amount unit_amount recurring_interval_count",
        bool="proration",
        timestamp="period_start period_end invoice_created",
        json="discount_coupon_ids",
    ),
    "raw_stripe.charges": _columns(
        text="id customer_id invoice_id status currency failure_code failure_message",
        timestamp="created",
        bigint="amount amount_refunded",
        bool="paid refunded",
    ),
    "raw_stripe.refunds": _columns(text="id charge_id currency status reason", timestamp="created", bigint="amount"),
    "raw_github.repositories": _columns(
        bigint="id",
        text="name full_name default_branch language",
        bool="private archived",
        timestamp="created_at updated_at pushed_at",
    ),
    "raw_github.pulls": _columns(
        bigint="id number",
        text="repository title state user_login merge_commit_sha base_ref head_ref",
        bool="draft",
        timestamp="created_at updated_at closed_at merged_at",
    ),
    "raw_github.reviews": _columns(
        bigint="id pull_number", text="repository user_login state commit_id", timestamp="submitted_at"
    ),
    "raw_github.commits": _columns(
        text="sha repository message author_login author_name author_email", timestamp="authored_at committed_at"
    ),
    "raw_github.pull_commits": _columns(
        text="sha repository message author_login", bigint="pull_number", timestamp="authored_at committed_at"
    ),
    "raw_github.issues": _columns(
        bigint="id number comments",
        text="repository title state user_login",
        timestamp="created_at updated_at closed_at",
        bool="is_pull_request",
    ),
    "raw_postgres.users": _columns(
        bigint="id",
        text="workspace_id email name role",
        timestamp="created_at updated_at last_seen_at deleted_at",
    ),
    "raw_postgres.workspaces": _columns(
        text="id name plan stripe_customer_id",
        bigint="seats",
        decimal="mrr_note",
        json="settings",
        timestamp="created_at updated_at",
    ),
    "raw_postgres.events": _columns(
        bigint="id user_id", text="workspace_id name", json="properties", timestamp="created_at"
    ),
    # A sheet's columns are its headers; these are the finance team's of the sandbox company.
    "raw_google_sheets.plan": _columns(
        bigint="_row",
        text="quarter column_h notes",
        date="month",
        double="plan_mrr plan_new_mrr plan_churn headcount costs actual_mrr actual_costs",
    ),
    **_declared(
        "hubspot",
        *("contacts", "companies", "deals", "deal_stage_history", "tickets", "owners", "pipelines", "pipeline_stages"),
        "associations",
    ),
    **_declared("intercom", "contacts", "companies", "conversations", "conversation_parts", "tags", "teams", "admins"),
    **_declared("slack", "channels", "users", "messages", "replies", "reactions"),
    **_declared("mixpanel", "events", "profiles", "cohorts"),
}

Rows = Iterable[Mapping[str, Any]]


def create_raw_tables(path: Path, tables: Iterable[str] = RAW_SCHEMA) -> None:
    """Create `tables` ("raw_stripe.invoices"), empty, in the DuckDB file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        for table in tables:
            schema, name = table.split(".")
            columns = ", ".join(f'"{column}" {_TYPES[kind]}' for column, kind in RAW_SCHEMA[table].items())
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
            connection.execute(f'CREATE TABLE "{schema}"."{name}" ({columns}, _extra VARCHAR, _dlt_load_id VARCHAR)')


def insert_rows(path: Path, rows: Mapping[str, Rows], load_id: str = "1700000000.0") -> None:
    """Add rows by table; a column that is not in the contract is refused, one that is not given is null."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table, records in rows.items():
            known = RAW_SCHEMA[table]
            values = []
            for record in records:
                if unknown := set(record) - set(known):
                    raise ValueError(f"{table} has no column {sorted(unknown)}")
                plain = [record.get(name) for name in known]
                values.append(
                    [json.dumps(value) if isinstance(value, dict | list) else value for value in plain]
                    + [None, load_id]
                )
            if values:
                marks = ", ".join("?" for _ in range(len(known) + 2))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
