with subscriptions as (

    select * from {{ ref('stg_stripe__subscriptions') }}

),

item_changes as (

    select
        *,
        row_number() over (partition by item_key order by changed_at desc) as place_from_end
    from {{ ref('int_mrr__item_timeline') }}

),

worth_now as (

    select
        subscription_id,
        sum(mrr_cents) as mrr_cents
    from item_changes
    where place_from_end = 1
    group by subscription_id

),

final as (

    select
        subscriptions.subscription_id,
        subscriptions.customer_id,
        {{ local_date('coalesce(subscriptions.cancel_at, subscriptions.current_period_end_at)') }} as scheduled_on,
        {{ local_date('subscriptions.cancel_requested_at') }} as requested_on,
        '{{ var("reporting_currency") }}' as currency,
        {{ cents_to_money('worth_now.mrr_cents') }} as mrr
    from subscriptions
    inner join worth_now on subscriptions.subscription_id = worth_now.subscription_id
    where
        subscriptions.ended_at is null
        and subscriptions.status <> 'canceled'
        and (coalesce(subscriptions.is_cancelled_at_period_end, false) or subscriptions.cancel_at is not null)
        and worth_now.mrr_cents > 0

)

select * from final
