{{ config(**kept_by_customer()) }}

with item_changes as (

    select * from {{ ref('int_mrr__item_timeline') }}
    where {{ of_changed_customers() }}

),

moments as (

    select
        customer_id,
        changed_at,
        changed_on,
        sum(change_cents) as change_cents,
        sum(fx_cents) as fx_cents,
        sum(held_change) as held_change
    from item_changes
    group by customer_id, changed_at, changed_on

),

running as (

    select
        *,
        sum(change_cents) over (
            partition by customer_id order by changed_at rows between unbounded preceding and current row
        ) as mrr_cents,
        sum(held_change) over (
            partition by customer_id order by changed_at rows between unbounded preceding and current row
        ) as held_items
    from moments

),

ranked as (

    select
        *,
        row_number() over (partition by customer_id, changed_on order by changed_at desc) as place_from_end
    from running

),

-- What counts is how a day ends: an exchange of one subscription for another within a day is one movement or none.
days as (

    select
        customer_id,
        changed_on,
        sum(change_cents) as change_cents,
        sum(fx_cents) as fx_cents,
        max(mrr_cents) as peak_cents,
        max(case when place_from_end = 1 then mrr_cents end) as closing_cents,
        -- A paused customer is worth nothing and is not lost, unless the company reads it otherwise.
        max(case when place_from_end = 1 and held_items > 0 then {{ 0 if var('paused_is_churn') else 1 }} else 0 end)
            as is_held
    from ranked
    group by customer_id, changed_on

),

final as (

    select
        customer_id,
        changed_on,
        cast(closing_cents - change_cents as {{ dbt.type_bigint() }}) as opening_cents,
        cast(fx_cents as {{ dbt.type_bigint() }}) as fx_cents,
        cast(closing_cents as {{ dbt.type_bigint() }}) as closing_cents,
        cast(peak_cents as {{ dbt.type_bigint() }}) as peak_cents,
        is_held,
        coalesce(lag(is_held) over (partition by customer_id order by changed_on), 0) as was_held,
        coalesce(
            max(case when peak_cents > 0 then 1 else 0 end) over (
                partition by customer_id order by changed_on rows between unbounded preceding and 1 preceding
            ), 0
        ) as has_paid_before
    from days

)

select * from final
