{{ config(**kept_by_customer()) }}

with lines as (

    select * from {{ ref('stg_stripe__invoice_lines') }}
    where {{ of_changed_customers() }}

),

invoices as (

    select * from {{ ref('stg_stripe__invoices') }}
    where {{ of_changed_customers() }}

),

subscriptions as (

    select * from {{ ref('stg_stripe__subscriptions') }}
    where {{ of_changed_customers() }}

),

discounts as (

    select * from {{ ref('int_stripe__line_discounts') }}

),

invoice_discounts as (

    select
        invoice_id,
        sum(discount_minor) as discount_minor
    from lines
    group by invoice_id

),

-- Licensed prices with a rhythm only: metered, one-off and manual lines are never MRR.
recurring as (

    select
        lines.*,
        coalesce(lines.subscription_item_id, lines.subscription_id || ':' || lines.price_id) as item_key,
        coalesce(lines.is_proration, false) as is_change
    from lines
    where
        lines.subscription_id is not null
        and lines.recurring_interval is not null
        and coalesce(lines.recurring_usage_type, 'licensed') = 'licensed'
        and (lines.line_type = 'subscription' or coalesce(lines.is_proration, false))

),

situated as (

    select
        recurring.*,
        invoices.created_at as invoiced_at,
        coalesce(discounts.counted_share, 1) as counted_share,
        discounts.counted_percent_off,
        discounts.counted_amount_off_minor,
        invoices.status,
        recurring.amount_minor - recurring.discount_minor as charged_minor,
        -- Tax is inside the amounts when the invoice's total has nothing on top of them.
        case
            when invoices.total_minor = invoices.subtotal_minor - coalesce(invoice_discounts.discount_minor, 0)
                then coalesce(recurring.tax_minor, 0)
            else 0
        end as contained_tax_minor,
        subscriptions.pause_behavior,
        coalesce(invoices.voided_at, invoices.marked_uncollectible_at, invoices.created_at) as dropped_at,
        {{ days_after('invoices.created_at', 1) }} as a_day_later,
        {{ days_after('invoices.created_at', 3) }} as three_days_later
    from recurring
    inner join invoices on recurring.invoice_id = invoices.invoice_id
    left join invoice_discounts on recurring.invoice_id = invoice_discounts.invoice_id
    left join subscriptions on recurring.subscription_id = subscriptions.subscription_id
    left join discounts on recurring.invoice_line_id = discounts.invoice_line_id

),

judged as (

    select
        *,
        case
            when contained_tax_minor > 0 and charged_minor > 0
                then 1 - cast(contained_tax_minor as {{ dbt.type_float() }}) / charged_minor
            else 1
        end as share_without_tax,
        -- A period nobody was asked to pay for: its invoice was dropped as soon as it was made (that is how Stripe
        -- pauses collection), or it was left a draft.
        case
            when is_change then 0
            when status in ('void', 'uncollectible') and dropped_at <= a_day_later then 1
            when status = 'draft' and (pause_behavior is not null or {{ as_of() }} > three_days_later) then 1
            else 0
        end as is_waived
    from situated

),

final as (

    select
        invoice_line_id,
        invoice_id,
        subscription_id,
        item_key,
        subscription_item_id,
        customer_id,
        currency,
        price_id,
        coalesce(quantity, 1) as quantity,
        recurring_interval,
        coalesce(recurring_interval_count, 1) as recurring_interval_count,
        is_change,
        period_start_at,
        period_end_at,
        invoiced_at,
        amount_minor,
        coalesce(discount_minor, 0) as discount_minor,
        is_waived,
        -- What the item costs for a whole interval, before discount. A period line says so itself (0 in a trial);
        -- a proration shows only a part, so there it is quantity × price, unknown for tiered prices.
        case
            when not is_change then amount_minor
            else cast(round(quantity * coalesce(unit_amount_minor_exact, unit_amount_minor)) as {{ dbt.type_bigint() }})
        end as interval_minor,
        cast(round(coalesce(discount_minor, 0) * counted_share) as {{ dbt.type_bigint() }}) as counted_discount_minor,
        counted_percent_off,
        counted_amount_off_minor,
        share_without_tax
    from judged

)

select * from final
