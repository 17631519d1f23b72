{{ config(**kept_by_customer()) }}

with invoices as (

    select * from {{ ref('stg_stripe__invoices') }}
    where {{ of_changed_customers() }}

),

lines as (

    select * from {{ ref('int_stripe__recurring_lines') }}
    where {{ of_changed_customers() }}

),

served as (

    select
        invoice_id,
        min(period_start_at) as service_starts_at,
        max(period_end_at) as service_ends_at
    from lines
    group by invoice_id

),

final as (

    select
        invoices.invoice_id,
        invoices.invoice_number,
        invoices.customer_id,
        invoices.status,
        {{ local_date('invoices.created_at') }} as invoiced_on,
        {{ local_date('served.service_starts_at') }} as service_from,
        {{ local_date('served.service_ends_at') }} as service_to,
        {{ local_date('invoices.paid_at') }} as paid_on,
        invoices.currency,
        {{ cents_to_money(
            "invoices.total_minor * " ~ hundredths_per_minor_unit("invoices.currency")
            ~ " / " ~ minor_units_per_hundredth("invoices.currency")
        ) }} as total
    from invoices
    inner join served on invoices.invoice_id = served.invoice_id

)

select * from final
