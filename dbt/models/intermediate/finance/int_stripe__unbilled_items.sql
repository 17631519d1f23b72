{{ config(**kept_by_customer()) }}

with items as (

    select * from {{ ref('stg_stripe__subscription_items') }}

),

subscriptions as (

    select * from {{ ref('stg_stripe__subscriptions') }}
    where {{ of_changed_customers() }}

),

evidence as (

    select
        *,
        row_number() over (partition by item_key order by starts_at desc) as place
    from {{ ref('int_stripe__item_evidence') }}
    where {{ of_changed_customers() }}

),

latest as (

    select * from evidence
    where place = 1

),

first_evidence as (

    select
        subscription_id,
        min(starts_at) as starts_at
    from evidence
    group by subscription_id

),

-- The discount and the tax of the subscription as last invoiced, for items that no invoice has shown yet.
ranked_context as (

    select
        *,
        row_number() over (partition by subscription_id order by starts_at desc, item_key asc) as context_place
    from evidence
    where kind <> 'removal'

),

context as (

    select * from ranked_context
    where context_place = 1

),

-- Only what a running subscription says, and only where a price is known (a tiered one is not).
present as (

    select
        items.*,
        subscriptions.customer_id,
        first_evidence.starts_at as subscription_starts_at,
        coalesce(items.quantity, 1) as units,
        coalesce(items.unit_amount_minor_exact, items.unit_amount_minor) as unit_minor,
        context.counted_percent_off,
        coalesce(context.share_without_tax, 1) as share_without_tax
    from items
    inner join subscriptions on items.subscription_id = subscriptions.subscription_id
    inner join first_evidence on items.subscription_id = first_evidence.subscription_id
    left join context on items.subscription_id = context.subscription_id
    where
        not coalesce(items.is_deleted, false)
        and items.recurring_interval is not null
        and coalesce(items.recurring_usage_type, 'licensed') = 'licensed'
        and coalesce(items.unit_amount_minor_exact, items.unit_amount_minor) is not null
        and subscriptions.status in ('active', 'past_due')
        and subscriptions.ended_at is null
        and subscriptions.pause_behavior is null

),

compared as (

    select
        present.*,
        latest.item_key as known_item_key,
        latest.service_starts_at as known_service_starts_at,
        latest.starts_at as known_starts_at,
        cast(round(
            present.units * present.unit_minor * (1 - coalesce(present.counted_percent_off, 0) / 100)
        ) as {{ dbt.type_bigint() }}) as net_minor
    from present
    left join latest on present.subscription_item_id = latest.item_key
    where
        latest.item_key is null
        or (
            latest.is_waived = 0
            and (latest.price_id <> present.price_id or latest.quantity <> present.units)
        )

),

dated as (

    select
        *,
        -- An item without any line was added at a known moment; of another change only that it has happened is known.
        case when known_item_key is null and created_at > subscription_starts_at then created_at else {{ as_of() }} end
            as starts_at
    from compared

),

final as (

    select
        subscription_item_id as item_key,
        subscription_id,
        customer_id,
        currency,
        price_id,
        units as quantity,
        recurring_interval,
        coalesce(recurring_interval_count, 1) as recurring_interval_count,
        starts_at,
        coalesce(known_service_starts_at, starts_at) as service_starts_at,
        case
            when net_minor <= 0 then 0
            else {{ monthly_cents(
                "cast(round(net_minor * share_without_tax) as " ~ dbt.type_bigint() ~ ")",
                "currency", "recurring_interval", "coalesce(recurring_interval_count, 1)"
            ) }}
        end as mrr_cents
    from dated
    where starts_at <= {{ as_of() }}

)

select * from final
