{%- set steps = [
    ('start', 'start_mrr'), ('new', 'new_mrr'), ('expansion', 'expansion_mrr'), ('reactivation', 'reactivated_mrr'),
    ('contraction', 'contraction_mrr'), ('churn', 'churned_mrr'), ('fx', 'fx_mrr'), ('end', 'mrr'),
] -%}

with months as (

    select * from {{ ref('mrr_monthly') }}

),

steps as (

    {% for step, column in steps %}
        select
            month,
            currency,
            is_complete,
            '{{ step }}' as step,
            {{ loop.index }} as step_order,
            {{ column }} as amount
        from months
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- The bar of the end stands on the ground again, like that of the start.
placed as (

    select
        *,
        sum(case when step = 'end' then 0 else amount end) over (
            partition by month, currency order by step_order rows between unbounded preceding and current row
        ) as reached
    from steps

),

final as (

    select
        cast(month as {{ dbt.type_string() }}) || ':' || step as waterfall_step_id,
        month,
        step,
        step_order,
        currency,
        cast(amount as {{ type_money() }}) as amount,
        cast(case when step in ('start', 'end') then 0 else reached - amount end as {{ type_money() }}) as bar_from,
        cast(case when step = 'end' then amount else reached end as {{ type_money() }}) as bar_to,
        is_complete
    from placed

)

select * from final
