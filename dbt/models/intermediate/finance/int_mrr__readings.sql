with watched as (

    select * from {{ ref('int_mrr__watched_items') }}

),

timeline as (

    select
        *,
        lead(changed_at) over (partition by item_key order by changed_at) as next_changed_at
    from {{ ref('int_mrr__item_timeline') }}

),

evidence as (

    select
        *,
        -- Without a null: an outer join on "or … is null" compares every row with every other one.
        coalesce(lead(starts_at) over (partition by item_key order by starts_at), {{ end_of_time() }})
            as next_starts_at
    from {{ ref('int_stripe__item_evidence') }}

),

blocks as (

    select * from {{ ref('int_stripe__subscription_blocks') }}

),

moments as (

    select distinct
        month_start,
        ends_at,
        hours_unwatched
    from watched

),

-- Whether an invoice was paid is told by invoices alone, so both readings have it from there.
conversions as (

    select
        subscription_id,
        min(ends_at) as converted_at
    from blocks
    where reason = 'not converted'
    group by subscription_id

),

unpaid as (

    select distinct
        moments.month_start,
        blocks.subscription_id
    from moments
    inner join blocks
        on
            moments.ends_at >= blocks.starts_at
            and moments.ends_at < blocks.ends_at
    where blocks.reason = 'overdue'

),

counted as (

    select
        watched.month_start,
        watched.is_later,
        watched.hours_unwatched,
        watched.customer_id,
        watched.currency,
        watched.is_pausing,
        watched.is_discounted,
        watched.is_without_price,
        case when evidence.price_id = watched.price_id and evidence.quantity = watched.quantity then 0 else 1 end
            as is_otherwise_invoiced,
        case
            when conversions.converted_at is null or watched.ends_at < conversions.converted_at then 0
            when unpaid.subscription_id is not null then 0
            else watched.mrr_cents
        end as mrr_cents
    from watched
    left join conversions on watched.subscription_id = conversions.subscription_id
    left join unpaid
        on
            watched.subscription_id = unpaid.subscription_id
            and watched.month_start = unpaid.month_start
    left join evidence
        on
            watched.subscription_item_id = evidence.item_key
            and watched.ends_at >= evidence.starts_at
            and watched.ends_at < evidence.next_starts_at

),

by_subscription as (

    select
        month_start,
        customer_id,
        currency,
        sum(case when is_later = 0 then mrr_cents else 0 end) as cents,
        sum(case when is_later = 1 then mrr_cents else 0 end) as later_cents,
        max(is_pausing) as is_pausing,
        max(is_discounted) as is_discounted,
        max(is_without_price) as is_without_price,
        max(is_otherwise_invoiced) as is_otherwise_invoiced,
        max(hours_unwatched) as hours_unwatched
    from counted
    group by month_start, customer_id, currency

),

-- Items that only the invoices know at the time: taken away since, and not settled yet.
by_invoice as (

    select
        moments.month_start,
        timeline.customer_id,
        timeline.currency,
        sum(timeline.local_mrr_cents) as cents,
        max(timeline.is_held) as is_held,
        max(moments.hours_unwatched) as hours_unwatched,
        max(case when timeline.local_mrr_cents > 0 and watched.subscription_item_id is null then 1 else 0 end)
            as is_taken_away
    from moments
    inner join timeline
        on
            moments.ends_at >= timeline.changed_at
            and (moments.ends_at < timeline.next_changed_at or timeline.next_changed_at is null)
    left join watched
        on
            moments.month_start = watched.month_start
            and timeline.item_key = watched.subscription_item_id
            and watched.is_later = 0
    group by moments.month_start, timeline.customer_id, timeline.currency

),

together as (

    select
        coalesce(by_invoice.month_start, by_subscription.month_start) as month_start,
        coalesce(by_invoice.customer_id, by_subscription.customer_id) as customer_id,
        coalesce(by_invoice.currency, by_subscription.currency) as currency,
        coalesce(by_invoice.cents, 0) as invoice_cents,
        coalesce(by_subscription.cents, 0) as subscription_cents,
        coalesce(by_subscription.later_cents, 0) as later_cents,
        coalesce(by_invoice.is_held, 0) as is_held,
        coalesce(by_invoice.is_taken_away, 0) as is_taken_away,
        coalesce(by_subscription.is_pausing, 0) as is_pausing,
        coalesce(by_subscription.is_discounted, 0) as is_discounted,
        coalesce(by_subscription.is_without_price, 0) as is_without_price,
        coalesce(by_subscription.is_otherwise_invoiced, 0) as is_otherwise_invoiced,
        coalesce(by_invoice.hours_unwatched, by_subscription.hours_unwatched) as hours_unwatched
    from by_invoice
    full outer join by_subscription
        on
            by_invoice.month_start = by_subscription.month_start
            and by_invoice.customer_id = by_subscription.customer_id
            and by_invoice.currency = by_subscription.currency

),

final as (

    select
        month_start,
        customer_id,
        currency,
        cast(invoice_cents as {{ dbt.type_bigint() }}) as invoice_cents,
        -- Either of the two readings of the subscriptions may be the right one for the month's end.
        cast(
            case when later_cents = invoice_cents then invoice_cents else subscription_cents end
            as {{ dbt.type_bigint() }}
        ) as subscription_cents,
        case
            when invoice_cents in (subscription_cents, later_cents) then null
            when hours_unwatched > 48 then 'nobody looked'
            when is_without_price = 1 then 'price in tiers'
            when is_pausing = 1 or is_held = 1 then 'pause'
            when is_otherwise_invoiced = 1 or is_taken_away = 1 then 'change not invoiced'
            when is_discounted = 1 then 'discount'
            else 'unexplained'
        end as reason
    from together
    where
        invoice_cents > 0
        or subscription_cents > 0

)

select * from final
