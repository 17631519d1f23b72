with subscriptions as (

    select * from {{ ref('snap_stripe__subscriptions') }}

),

items as (

    select * from {{ ref('snap_stripe__subscription_items') }}

),

evidence as (

    select * from {{ ref('int_stripe__item_evidence') }}

),

numbers as (

    {{ numbers_below_1000() }}

),

looks as (

    select * from {{ ref('int_mrr__looks') }}

),

month_starts as (

    select
        number,
        cast({{ dbt.dateadd('month', '-1 * number', month_of(local_date(as_of()))) }} as date) as month_start,
        cast({{ dbt.dateadd('month', '1 - number', month_of(local_date(as_of()))) }} as date) as next_month_start
    from numbers
    where number <= 12

),

month_ends as (

    select
        month_start,
        case
            when number = 0 then {{ as_of() }}
            else {{ seconds_after(start_of_local_day('next_month_start'), -1) }}
        end as ends_at
    from month_starts

),

-- What changed between the last look before the end of a month and the first one after it happened on either side:
-- so each end is read twice.
looked as (

    select
        month_ends.month_start,
        month_ends.ends_at,
        max(case when looks.looked_at <= month_ends.ends_at then looks.looked_at end) as before_at,
        min(case when looks.looked_at >= month_ends.ends_at then looks.looked_at end) as after_at
    from month_ends
    cross join looks
    group by month_ends.month_start, month_ends.ends_at

),

watched as (

    select
        *,
        {{ hours_between('before_at', 'after_at') }} as hours_unwatched
    from looked
    where
        before_at is not null
        and after_at is not null

),

moments as (

    select
        month_start,
        ends_at,
        hours_unwatched,
        0 as is_later,
        before_at as seen_at
    from watched

    union all

    select
        month_start,
        ends_at,
        hours_unwatched,
        1 as is_later,
        after_at as seen_at
    from watched

),

seen as (

    select
        moments.month_start,
        moments.is_later,
        moments.ends_at,
        moments.hours_unwatched,
        subscriptions.customer_id,
        subscriptions.subscription_id,
        items.subscription_item_id,
        items.currency,
        items.price_id,
        items.recurring_interval,
        coalesce(items.quantity, 1) as quantity,
        coalesce(items.recurring_interval_count, 1) as recurring_interval_count,
        coalesce(items.quantity, 1) * coalesce(items.unit_amount_minor_exact, items.unit_amount_minor) as full_minor,
        case
            when subscriptions.pause_behavior is null then 0
            -- What is paused is paid to the end of its period.
            when subscriptions.current_period_end_at > moments.ends_at then 0
            else 1
        end as is_paused,
        case when subscriptions.pause_behavior is null then 0 else 1 end as is_pausing,
        case
            when subscriptions.discount_coupon_id is null then 0
            when subscriptions.discount_end_at <= moments.ends_at then 0
            when coalesce(subscriptions.discount_duration, 'forever') = 'forever' then 1
            when subscriptions.discount_duration = 'repeating' and '{{ var("mrr_discounts") }}' = 'recurring' then 1
            else 0
        end as is_discounted,
        subscriptions.discount_percent_off,
        subscriptions.discount_amount_off_minor
    from moments
    inner join subscriptions
        on
            moments.seen_at >= subscriptions.dbt_valid_from
            and (moments.seen_at < subscriptions.dbt_valid_to or subscriptions.dbt_valid_to is null)
    inner join items
        on
            subscriptions.subscription_id = items.subscription_id
            and moments.seen_at >= items.dbt_valid_from
            and (moments.seen_at < items.dbt_valid_to or items.dbt_valid_to is null)
    where
        not coalesce(items.is_deleted, false)
        and items.recurring_interval is not null
        and coalesce(items.recurring_usage_type, 'licensed') = 'licensed'
        and items.created_at <= moments.ends_at
        and (
            (subscriptions.status in ('active', 'past_due') and subscriptions.ended_at is null)
            or subscriptions.ended_at > moments.ends_at
        )

),

-- Tax inside a price is only told by invoices.
told as (

    select
        item_key,
        starts_at,
        share_without_tax,
        -- Without a null: an outer join on "or … is null" compares every row with every other one.
        coalesce(lead(starts_at) over (partition by item_key order by starts_at), {{ end_of_time() }})
            as next_starts_at
    from evidence
    where kind <> 'removal'

),

shared as (

    select
        seen.*,
        coalesce(told.share_without_tax, 1) as share_without_tax,
        sum(seen.full_minor) over (
            partition by seen.month_start, seen.is_later, seen.subscription_id
        ) as subscription_minor
    from seen
    left join told
        on
            seen.subscription_item_id = told.item_key
            and seen.ends_at >= told.starts_at
            and seen.ends_at < told.next_starts_at

),

valued as (

    select
        *,
        cast(round(share_without_tax * case
            when is_paused = 1 then 0
            when is_discounted = 0 then full_minor
            when discount_percent_off is not null then full_minor * (1 - discount_percent_off / 100)
            -- A fixed amount is taken off the invoice: each item bears its part.
            when discount_amount_off_minor >= subscription_minor then 0
            when discount_amount_off_minor is not null
                then full_minor * (1 - cast(discount_amount_off_minor as {{ dbt.type_float() }}) / subscription_minor)
            else full_minor
        end) as {{ dbt.type_bigint() }}) as net_minor
    from shared

),

final as (

    select
        month_start,
        is_later,
        ends_at,
        hours_unwatched,
        customer_id,
        subscription_id,
        subscription_item_id,
        currency,
        price_id,
        quantity,
        is_pausing,
        is_discounted,
        case when full_minor is null then 1 else 0 end as is_without_price,
        case
            when net_minor <= 0 or net_minor is null then 0
            else {{ monthly_cents('net_minor', 'currency', 'recurring_interval', 'recurring_interval_count') }}
        end as mrr_cents
    from valued

)

select * from final
