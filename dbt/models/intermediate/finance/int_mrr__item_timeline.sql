{{ config(**kept_by_customer()) }}

with segments as (

    select * from {{ ref('int_stripe__item_segments') }}
    where {{ of_changed_customers() }}

),

blocks as (

    select * from {{ ref('int_stripe__subscription_blocks') }}
    where {{ of_changed_customers() }}

),

rates as (

    select * from {{ ref('int_fx__rates') }}

),

items as (

    select
        item_key,
        subscription_id,
        min(starts_at) as starts_at
    from segments
    group by item_key, subscription_id

),

-- Every moment at which the worth of an item can change.
moments as (

    select
        item_key,
        starts_at as changed_at
    from segments

    union distinct

    select
        items.item_key,
        blocks.starts_at as changed_at
    from items
    inner join blocks on items.subscription_id = blocks.subscription_id
    where items.starts_at < blocks.starts_at

    union distinct

    select
        items.item_key,
        blocks.ends_at as changed_at
    from items
    inner join blocks on items.subscription_id = blocks.subscription_id
    where items.starts_at < blocks.ends_at

),

states as (

    select
        moments.changed_at,
        segments.item_key,
        segments.subscription_id,
        segments.customer_id,
        segments.currency,
        segments.service_starts_at,
        segments.mrr_cents,
        segments.is_held,
        max(case when blocks.subscription_id is null then 1 else 0 end) as is_open
    from moments
    inner join segments
        on
            moments.item_key = segments.item_key
            and moments.changed_at >= segments.starts_at
            and moments.changed_at < segments.ends_at
    left join blocks
        on
            segments.subscription_id = blocks.subscription_id
            and moments.changed_at >= blocks.starts_at
            and moments.changed_at < blocks.ends_at
    where moments.changed_at <= {{ as_of() }}
    group by
        moments.changed_at,
        segments.item_key,
        segments.subscription_id,
        segments.customer_id,
        segments.currency,
        segments.service_starts_at,
        segments.mrr_cents,
        segments.is_held

),

converted as (

    select
        states.changed_at,
        states.item_key,
        states.subscription_id,
        states.customer_id,
        states.currency,
        states.is_held * states.is_open as is_held,
        states.mrr_cents * states.is_open as local_mrr_cents,
        case when states.mrr_cents = 0 then 1 else rates.rate end as rate,
        -- No rate, no number: a test refuses what cannot be converted.
        case
            when states.mrr_cents * states.is_open = 0 then 0
            else cast(round(states.mrr_cents * rates.rate) as {{ dbt.type_bigint() }})
        end as mrr_cents
    from states
    left join rates
        on
            states.currency = rates.currency
            and {{ local_date('states.service_starts_at') }} >= rates.valid_from
            and {{ local_date('states.service_starts_at') }} < rates.valid_to

),

compared as (

    select
        *,
        coalesce(lag(local_mrr_cents) over (partition by item_key order by changed_at), 0) as previous_local_mrr_cents,
        coalesce(lag(mrr_cents) over (partition by item_key order by changed_at), 0) as previous_mrr_cents,
        coalesce(lag(is_held) over (partition by item_key order by changed_at), 0) as was_held
    from converted

),

final as (

    select
        item_key,
        subscription_id,
        customer_id,
        currency,
        changed_at,
        {{ local_date('changed_at') }} as changed_on,
        local_mrr_cents,
        rate,
        mrr_cents,
        is_held,
        is_held - was_held as held_change,
        -- What the old amount is worth more or less at the new rate; nobody bought or cancelled anything.
        case
            when previous_local_mrr_cents > 0 and local_mrr_cents > 0
                then cast(round(previous_local_mrr_cents * rate) as {{ dbt.type_bigint() }}) - previous_mrr_cents
            else 0
        end as fx_cents,
        mrr_cents - previous_mrr_cents as change_cents
    from compared
    where
        mrr_cents is null
        or previous_mrr_cents is null
        or mrr_cents <> previous_mrr_cents
        or local_mrr_cents <> previous_local_mrr_cents
        or is_held <> was_held

)

select * from final
