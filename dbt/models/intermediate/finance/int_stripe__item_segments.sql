{{ config(**kept_by_customer()) }}

with billed as (

    select * from {{ ref('int_stripe__item_evidence') }}
    where {{ of_changed_customers() }}

),

unbilled as (

    select * from {{ ref('int_stripe__unbilled_items') }}
    where {{ of_changed_customers() }}

),

subscriptions as (

    select * from {{ ref('stg_stripe__subscriptions') }}
    where {{ of_changed_customers() }}

),

items as (

    select * from {{ ref('stg_stripe__subscription_items') }}
    where not coalesce(is_deleted, false)

),

evidence as (

    select
        item_key,
        subscription_id,
        customer_id,
        currency,
        starts_at,
        covered_until,
        service_starts_at,
        mrr_cents,
        is_waived
    from billed

    union all

    select
        item_key,
        subscription_id,
        customer_id,
        currency,
        starts_at,
        {{ end_of_time() }} as covered_until,
        service_starts_at,
        mrr_cents,
        0 as is_waived
    from unbilled

),

sequenced as (

    select
        *,
        lead(starts_at) over (partition by item_key order by starts_at) as next_starts_at
    from evidence

),

situated as (

    select
        sequenced.*,
        coalesce(subscriptions.customer_id, sequenced.customer_id) as payer_id,
        case when subscriptions.subscription_id is null then 0 else 1 end as is_known,
        case when items.subscription_item_id is null then 0 else 1 end as is_present,
        case
            when subscriptions.ended_at is not null then 0
            when subscriptions.pause_behavior is not null or subscriptions.status = 'paused' then 1
            else 0
        end as is_paused,
        subscriptions.ended_at,
        {{ days_after('sequenced.covered_until', 3) }} as tolerated_until
    from sequenced
    left join subscriptions on sequenced.subscription_id = subscriptions.subscription_id
    left join items on sequenced.item_key = items.subscription_item_id

),

-- How far what a line says reaches. A line speaks for its period; after the last one the subscription speaks.
bounded as (

    select
        *,
        case
            when next_starts_at is not null and (mrr_cents = 0 or tolerated_until >= next_starts_at)
                then next_starts_at
            when next_starts_at is not null then covered_until
            when mrr_cents = 0 then {{ end_of_time() }}
            when ended_at is not null and tolerated_until >= ended_at then {{ end_of_time() }}
            when is_known = 0 or ended_at is not null then covered_until
            when is_present = 0 or is_paused = 1 then covered_until
            else {{ end_of_time() }}
        end as ends_at,
        case
            when next_starts_at is not null then 1
            when ended_at is null and is_present = 1 and is_paused = 1 then 1
            else 0
        end as is_held_afterwards
    from situated

),

final as (

    select
        item_key,
        subscription_id,
        payer_id as customer_id,
        currency,
        starts_at,
        ends_at,
        service_starts_at,
        mrr_cents,
        is_waived as is_held
    from bounded
    where starts_at < ends_at

    union all

    -- The time between: worth nothing. Held (paused, not lost) when the subscription goes on.
    select
        item_key,
        subscription_id,
        payer_id as customer_id,
        currency,
        ends_at as starts_at,
        coalesce(next_starts_at, {{ end_of_time() }}) as ends_at,
        service_starts_at,
        0 as mrr_cents,
        is_held_afterwards as is_held
    from bounded
    where
        ends_at < coalesce(next_starts_at, {{ end_of_time() }})

)

select * from final
