{#- A table, not a view: which columns the sheet has is looked up when this is built. -#}
{{ config(materialized='table') }}
{%- set headers = var('plan_columns', {}) -%}

with source as (

    {{ optional_columns('raw_google_sheets', 'plan', {
        'row_number': ('_row', dbt.type_bigint()),
        'month': (headers.get('month', 'month'), 'date'),
        'plan_mrr': (headers.get('plan_mrr', 'plan_mrr'), type_money()),
        'plan_new_mrr': (headers.get('plan_new_mrr', 'plan_new_mrr'), type_money()),
        'plan_churned_mrr': (headers.get('plan_churned_mrr', 'plan_churn'), type_money()),
        'plan_headcount': (headers.get('plan_headcount', 'headcount'), dbt.type_float()),
        'plan_costs': (headers.get('plan_costs', 'costs'), type_money()),
        'noted_mrr': (headers.get('noted_mrr', 'actual_mrr'), type_money()),
        'noted_costs': (headers.get('noted_costs', 'actual_costs'), type_money()),
        'notes': (headers.get('notes', 'notes'), dbt.type_string())
    }) }}

),

renamed as (

    select
        row_number,
        {{ month_of('month') }} as month,
        plan_mrr,
        plan_new_mrr,
        plan_churned_mrr,
        plan_headcount,
        plan_costs,
        noted_mrr,
        noted_costs,
        notes
    from source

)

select * from renamed
