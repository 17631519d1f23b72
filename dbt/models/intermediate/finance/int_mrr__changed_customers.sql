{%- set switches = [
    var('company_timezone'), var('reporting_currency'), var('past_due_days'), var('mrr_discounts'), var('paused_is_churn'),
] -%}
{%- set overdue_from = days_after('coalesce(due_at, finalized_at, created_at)', var('past_due_days')) -%}

with lines as (

    select * from {{ ref('stg_stripe__invoice_lines') }}

),

invoices as (

    select * from {{ ref('stg_stripe__invoices') }}

),

subscriptions as (

    select * from {{ ref('stg_stripe__subscriptions') }}

),

items as (

    select * from {{ ref('stg_stripe__subscription_items') }}

),

pending_items as (

    select * from {{ ref('stg_stripe__invoice_items') }}

),

payment_attempts as (

    select * from {{ ref('stg_stripe__charges') }}
    where status = 'failed'

),

-- All that coupons do.
discounts as (

    select * from {{ ref('int_stripe__line_discounts') }}

),

rates as (

    select * from {{ ref('int_fx__rates') }}

),

-- The large tables are named again where only their customers are asked for: of what is read twice by one name DuckDB
-- makes a copy first, with every column.
customers_of_invoices as (

    select
        invoice_id,
        customer_id
    from {{ ref('stg_stripe__invoices') }}

),

customers_of_lines as (

    select
        invoice_line_id,
        customer_id
    from {{ ref('stg_stripe__invoice_lines') }}

),

-- Every row that the MRR of a customer is computed from, and how many of its moments are over: one day an invoice is
-- overdue and a period ends, without any row changing.
inputs as (

    select
        customer_id,
        {{ row_hash('lines') }} as row_hash,
        {{ moments_passed(['period_start_at', 'period_end_at']) }} as moments_passed
    from lines

    union all

    select
        customer_id,
        {{ row_hash('invoices') }} as row_hash,
        {{ moments_passed([
            'created_at', 'finalized_at', 'paid_at', 'voided_at', 'marked_uncollectible_at',
            "case when status = 'draft' then " ~ days_after('created_at', 3) ~ " end",
            "case when paid_at is null or paid_at > " ~ overdue_from ~ " then " ~ overdue_from ~ " end",
        ]) }} as moments_passed
    from invoices

    union all

    select
        customer_id,
        {{ row_hash('subscriptions') }} as row_hash,
        {{ moments_passed(['ended_at', 'cancel_requested_at']) }} as moments_passed
    from subscriptions

    union all

    select
        subscriptions.customer_id,
        {{ row_hash('items') }} as row_hash,
        {{ moments_passed(['items.created_at']) }} as moments_passed
    from items
    inner join subscriptions on items.subscription_id = subscriptions.subscription_id

    union all

    select
        customer_id,
        {{ row_hash('pending_items') }} as row_hash,
        {{ moments_passed(['created_at', 'period_start_at', 'period_end_at']) }} as moments_passed
    from pending_items

    union all

    select
        customers_of_invoices.customer_id,
        {{ row_hash('payment_attempts') }} as row_hash,
        {{ moments_passed(['payment_attempts.created_at']) }} as moments_passed
    from payment_attempts
    inner join customers_of_invoices on payment_attempts.invoice_id = customers_of_invoices.invoice_id

    union all

    select
        customers_of_lines.customer_id,
        {{ row_hash('discounts') }} as row_hash,
        0 as moments_passed
    from discounts
    inner join customers_of_lines on discounts.invoice_line_id = customers_of_lines.invoice_line_id

),

summed as (

    select
        customer_id,
        count(*) as input_rows,
        sum(row_hash) as input_hash,
        sum(moments_passed) as moments_passed
    from inputs
    group by customer_id

),

-- What concerns all of them: rates, switches, and the month, because each customer gets a row for a new one.
circumstances as (

    select
        coalesce(cast(sum({{ row_hash('rates') }}) as {{ dbt.type_string() }}), '') as rates_hash,
        cast({{ month_of(local_date(as_of())) }} as {{ dbt.type_string() }}) as this_month
    from rates

),

found as (

    select
        summed.customer_id,
        summed.input_rows,
        {{ dbt.concat([
            "cast(summed.input_rows as " ~ dbt.type_string() ~ ")", "' '",
            "cast(summed.input_hash as " ~ dbt.type_string() ~ ")", "' '",
            "cast(summed.moments_passed as " ~ dbt.type_string() ~ ")", "' '",
            "circumstances.rates_hash", "' '",
            "circumstances.this_month", "' '",
            quoted_list([switches | join(' ')])
        ]) }} as fingerprint
    from summed
    cross join circumstances

),

kept as (

    {{ customers_of_the_last_build() }}

),

-- Without a fingerprint: who has no input any more.
final as (

    select
        coalesce(found.customer_id, kept.customer_id) as customer_id,
        found.input_rows,
        found.fingerprint
    from found
    full outer join kept on found.customer_id = kept.customer_id
    where
        found.fingerprint is null
        or kept.fingerprint is null
        or found.fingerprint <> kept.fingerprint

)

select * from final
