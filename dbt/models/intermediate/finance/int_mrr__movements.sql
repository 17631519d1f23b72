{{ config(**kept_by_customer()) }}

with days as (

    select * from {{ ref('int_mrr__customer_days') }}
    where {{ of_changed_customers() }}

),

judged as (

    select
        *,
        closing_cents - opening_cents - fx_cents as movement_cents,
        case
            when opening_cents > 0 and closing_cents > 0 and closing_cents - opening_cents > fx_cents then 'expansion'
            when opening_cents > 0 and closing_cents > 0 and closing_cents - opening_cents < fx_cents then 'contraction'
            when opening_cents > 0 and closing_cents = 0 and is_held = 1 then 'contraction'
            when opening_cents > 0 and closing_cents = 0 then 'churn'
            -- Back from a pause: the customer was never lost.
            when opening_cents = 0 and closing_cents > 0 and was_held = 1 then 'expansion'
            when opening_cents = 0 and closing_cents > 0 and has_paid_before = 1 then 'reactivation'
            when opening_cents = 0 and closing_cents > 0 then 'new'
            -- Paused, then lost: nothing changes but the number of customers.
            when opening_cents = 0 and closing_cents = 0 and was_held = 1 and is_held = 0 then 'churn'
        end as movement
    from days

),

together as (

    select
        customer_id,
        changed_on,
        'fx' as movement,
        1 as step,
        opening_cents as before_cents,
        fx_cents as change_cents
    from judged
    where fx_cents <> 0

    union all

    select
        customer_id,
        changed_on,
        movement,
        2 as step,
        opening_cents + fx_cents as before_cents,
        movement_cents as change_cents
    from judged
    where movement is not null

    union all

    -- Won and lost within one day: both count.
    select
        customer_id,
        changed_on,
        case when has_paid_before = 1 then 'reactivation' else 'new' end as movement,
        2 as step,
        0 as before_cents,
        peak_cents as change_cents
    from judged
    where movement is null and opening_cents = 0 and closing_cents = 0 and was_held = 0 and peak_cents > 0

    union all

    select
        customer_id,
        changed_on,
        'churn' as movement,
        3 as step,
        peak_cents as before_cents,
        -peak_cents as change_cents
    from judged
    where movement is null and opening_cents = 0 and closing_cents = 0 and was_held = 0 and peak_cents > 0

),

final as (

    select
        customer_id,
        changed_on,
        movement,
        step,
        before_cents,
        change_cents,
        before_cents + change_cents as after_cents,
        case
            when movement in ('new', 'reactivation') then 1
            when movement = 'churn' then -1
            else 0
        end as customer_change
    from together

)

select * from final
