with items as (

    select * from {{ ref('stg_stripe__invoice_items') }}

),

lines as (

    select * from {{ ref('int_stripe__recurring_lines') }}
    where is_change

),

-- Nothing tells that an item came onto an invoice: its line says the same of the same moment.
settled as (

    select distinct
        item_key,
        period_start_at
    from lines

),

-- Licensed prices with a rhythm only, as with invoices: metered and one-off items are never MRR.
final as (

    select
        items.invoice_item_id as invoice_line_id,
        cast(null as {{ dbt.type_string() }}) as invoice_id,
        items.subscription_id,
        items.subscription_item_id as item_key,
        items.subscription_item_id,
        items.customer_id,
        items.currency,
        items.price_id,
        coalesce(items.quantity, 1) as quantity,
        items.recurring_interval,
        coalesce(items.recurring_interval_count, 1) as recurring_interval_count,
        true as is_change,
        items.period_start_at,
        items.period_end_at,
        items.created_at as invoiced_at,
        items.amount_minor,
        0 as discount_minor,
        0 as is_waived,
        cast(round(
            coalesce(items.quantity, 1) * coalesce(items.unit_amount_minor_exact, items.unit_amount_minor)
        ) as {{ dbt.type_bigint() }}) as interval_minor,
        cast(0 as {{ dbt.type_bigint() }}) as counted_discount_minor,
        cast(null as {{ dbt.type_float() }}) as counted_percent_off,
        cast(null as {{ dbt.type_bigint() }}) as counted_amount_off_minor,
        cast(1 as {{ dbt.type_float() }}) as share_without_tax
    from items
    left join settled
        on
            items.subscription_item_id = settled.item_key
            and items.period_start_at = settled.period_start_at
    where
        settled.item_key is null
        and items.invoice_id is null
        and not coalesce(items.is_deleted, false)
        and coalesce(items.is_proration, false)
        and items.subscription_id is not null
        and items.subscription_item_id is not null
        and items.recurring_interval is not null
        and coalesce(items.recurring_usage_type, 'licensed') = 'licensed'

)

select * from final
