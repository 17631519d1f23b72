"""Raw tables of a large company, made by DuckDB: many customers billed each month, and what their users did.

python -m bench.large_company FILE CUSTOMERS MONTHS EVENTS     an empty file gets everything
python -m bench.large_company FILE more                        another day of events, another invoice for one in a hundred
"""

from __future__ import annotations

import sys
from pathlib import Path

import django
import duckdb

FIRST, SECOND = "1700000000.0", "1800000000.0"
NOW = "2026-11-01 12:00:00"
TYPES = {
    "text": "varchar",
    "json": "varchar",
    "bool": "boolean",
    "timestamp": "timestamptz",
    "decimal": "decimal(38, 9)",
}

FEATURES = [f"feature_{number}.used" for number in range(12)]


def make(path: Path, customers: int, months: int, events: int) -> None:
    """Fill an empty warehouse file. Every customer has one monthly subscription whose seats change now and then."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
        _empty_tables(connection)
        connection.execute(
            f"""
            create temp table firm as
            select i, 'cus_' || i as customer_id, 'sub_' || i as subscription_id,
                   timestamptz '{NOW}' - to_months({months}) - to_hours(i % 700) as began,
                   i % 17 = 0 as has_left
            from range({customers}) t(i)
            """
        )
        _insert(
            connection,
            "raw_stripe.customers",
            "customer_id as id, began as created, 'Firm ' || i as name, 'usd' as currency from firm",
        )
        _insert(
            connection,
            "raw_stripe.prices",
            "'price_1' as id, timestamptz '2020-01-01' as created, true as active, 'usd' as currency, 2500 as unit_amount,"
            " '2500' as unit_amount_decimal, 'recurring' as type, 'per_unit' as billing_scheme, 'month' as recurring_interval,"
            " 1 as recurring_interval_count, 'licensed' as recurring_usage_type",
        )
        _insert(
            connection,
            "raw_stripe.subscriptions",
            "subscription_id as id, customer_id, case when has_left then 'canceled' else 'active' end as status,"
            " began as created, began as start_date, 'usd' as currency, false as cancel_at_period_end,"
            f" began + to_months({months} - 1) as current_period_start, began + to_months({months}) as current_period_end,"
            f" case when has_left then began + to_months({months} - 3) end as ended_at,"
            " 'charge_automatically' as collection_method from firm",
        )
        _insert(
            connection,
            "raw_stripe.subscription_items",
            f"'si_' || i as id, subscription_id, 'price_1' as price_id, {_seats(f'{months} - 1')} as quantity, began as created,"
            " 'usd' as currency, 2500 as unit_amount, '2500' as unit_amount_decimal, 'month' as recurring_interval,"
            " 1 as recurring_interval_count, 'licensed' as recurring_usage_type, false as is_deleted from firm",
        )
        _bill(connection, f"firm, range({months}) m(n) where not (has_left and n >= {months} - 3)")
        _insert(
            connection,
            "raw_postgres.workspaces",
            "'w_' || i as id, 'Firm ' || i as name, customer_id as stripe_customer_id, 5 as seats, began as created_at,"
            " began as updated_at from firm",
        )
        _insert(
            connection,
            "raw_postgres.users",
            f"u as id, 'w_' || (u % {customers}) as workspace_id, 'u' || u || '@example.com' as email,"
            f" timestamptz '2024-01-01' as created_at, timestamptz '2024-01-01' as updated_at from range({2 * customers}) t(u)",
        )
        _use(connection, f"range({events})", events, customers, days=700)


def more(path: Path) -> None:
    """What a day brings."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("set timezone = 'UTC'")
        customers, events = connection.execute(
            "select (select count(*) from raw_stripe.customers), (select count(*) from raw_postgres.events)"
        ).fetchone()
        day = events // 700
        _use(connection, f"range({events}, {events + day})", events + day, customers, days=1, load=SECOND)
        connection.execute(
            f"insert into raw_stripe.invoice_lines by name select * replace ('{SECOND}' as _dlt_load_id, id || '_again' as id,"
            " period_start + interval 1 month as period_start, period_end + interval 1 month as period_end)"
            " from raw_stripe.invoice_lines where hash(customer_id) % 100 = 0"
            " qualify row_number() over (partition by customer_id order by period_start desc) = 1"
        )


def _bill(connection: duckdb.DuckDBPyConnection, of: str) -> None:
    seats = _seats("n")
    connection.execute(
        f"create temp table bill as select *, 'in_' || i || '_' || n as invoice_id, began + to_months(n) as starts,"
        f" began + to_months(n + 1) as ends, {seats} as seats, {seats} * 2500 as amount from {of}"
    )
    _insert(
        connection,
        "raw_stripe.invoices",
        "invoice_id as id, customer_id, subscription_id, 'paid' as status, starts as created, starts as finalized_at,"
        " starts as paid_at, 'usd' as currency, amount as amount_due, amount as amount_paid, 0 as amount_remaining,"
        " amount as subtotal, amount as total, 0 as tax, 'subscription_cycle' as billing_reason from bill",
    )
    _insert(
        connection,
        "raw_stripe.invoice_lines",
        "'il_' || i || '_' || n as id, invoice_id, customer_id, subscription_id, 'si_' || i as subscription_item_id,"
        " 'price_1' as price_id, 'subscription' as type, amount, seats as quantity, 'usd' as currency, false as proration,"
        " starts as period_start, ends as period_end, starts as invoice_created, 0 as discount_amount,"
        " '[]' as discount_coupon_ids, 0 as tax_amount, 2500 as unit_amount, '2500' as unit_amount_decimal,"
        " 'month' as recurring_interval, 1 as recurring_interval_count, 'licensed' as recurring_usage_type from bill",
    )
    connection.execute("drop table bill")


def _use(
    connection: duckdb.DuckDBPyConnection, numbers: str, events: int, customers: int, *, days: int, load: str = FIRST
) -> None:
    _insert(
        connection,
        "raw_postgres.events",
        f"e as id, hash(e) % {2 * customers} as user_id, 'w_' || (hash(e) % {2 * customers}) % {customers} as workspace_id,"
        f" 'feature_' || (hash(e * 3) % {len(FEATURES)}) || '.used' as name,"
        f" timestamptz '{NOW}' - to_seconds((hash(e * 7) % {days * 86400})::bigint) as created_at from {numbers} t(e)",
        load,
    )


def _seats(month: str) -> str:
    return f"1 + (i * 7 + ({month}) // 6) % 5"


def _insert(connection: duckdb.DuckDBPyConnection, table: str, columns: str, load: str = FIRST) -> None:
    connection.execute(f"insert into {table} by name select '{load}' as _dlt_load_id, {columns}")


def _empty_tables(connection: duckdb.DuckDBPyConnection) -> None:
    from sources.connectors import get_connector

    tables = {
        f"raw_stripe.{spec.name}": {column.name: TYPES.get(column.type, column.type) for column in spec.columns}
        for spec in get_connector("stripe").streams
    }
    stamp = "timestamptz"
    tables["raw_postgres.workspaces"] = {
        "id": "varchar", "name": "varchar", "plan": "varchar", "stripe_customer_id": "varchar", "seats": "bigint",
        "mrr_note": "decimal(12, 2)", "settings": "varchar", "created_at": stamp, "updated_at": stamp,
    }  # fmt: skip
    tables["raw_postgres.users"] = {
        "id": "bigint", "workspace_id": "varchar", "email": "varchar", "name": "varchar", "role": "varchar",
        "created_at": stamp, "updated_at": stamp, "last_seen_at": stamp, "deleted_at": stamp,
    }  # fmt: skip
    tables["raw_postgres.events"] = {
        "id": "bigint", "user_id": "bigint", "workspace_id": "varchar", "name": "varchar", "properties": "varchar",
        "created_at": stamp,
    }  # fmt: skip
    for table, columns in tables.items():
        connection.execute(f"create schema if not exists {table.partition('.')[0]}")
        listed = ", ".join(f'"{name}" {kind}' for name, kind in {**columns, "_dlt_load_id": "varchar"}.items())
        connection.execute(f"create table {table} ({listed})")


if __name__ == "__main__":
    django.setup()
    if sys.argv[2] == "more":
        more(Path(sys.argv[1]))
    else:
        make(Path(sys.argv[1]), *map(int, sys.argv[2:]))
