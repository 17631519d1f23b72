with plan as (

    select * from {{ ref('stg_google_sheets__plan') }}

),

months as (

    select * from {{ ref('mrr_monthly') }}

),

-- A sheet made by hand has lines without a month (titles, sums), and a month may stand in it twice: the last counts.
ranked_plan as (

    select
        *,
        row_number() over (partition by month order by row_number desc) as place_from_end
    from plan
    where month is not null and plan_mrr is not null

),

planned as (

    select
        month,
        plan_mrr,
        plan_new_mrr,
        plan_churned_mrr
    from ranked_plan
    where place_from_end = 1

),

joined as (

    select
        planned.*,
        months.mrr,
        months.new_mrr,
        months.churned_mrr,
        months.mrr - planned.plan_mrr as variance,
        coalesce(months.is_complete, false) as is_complete
    from planned
    left join months on planned.month = months.month

),

final as (

    select
        month,
        '{{ var("reporting_currency") }}' as currency,
        cast(plan_mrr as {{ type_money() }}) as plan_mrr,
        cast(mrr as {{ type_money() }}) as actual_mrr,
        cast(variance as {{ type_money() }}) as variance,
        {{ share('mrr', 'plan_mrr') }} as percent_of_plan,
        cast(plan_new_mrr as {{ type_money() }}) as plan_new_mrr,
        cast(new_mrr as {{ type_money() }}) as actual_new_mrr,
        -- Written with or without a minus, it is what the plan expects to lose.
        cast(abs(plan_churned_mrr) as {{ type_money() }}) as plan_churned_mrr,
        cast(-churned_mrr as {{ type_money() }}) as actual_churned_mrr,
        is_complete
    from joined

)

select * from final
