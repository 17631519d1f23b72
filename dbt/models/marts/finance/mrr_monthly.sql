with customer_months as (

    select * from {{ ref('mrr_by_customer_month') }}

),

scheduled as (

    select * from {{ ref('mrr_scheduled_churn') }}

),

months as (

    select
        month,
        currency,
        sum(start_mrr) as start_mrr,
        sum(new_mrr) as new_mrr,
        sum(expansion_mrr) as expansion_mrr,
        sum(contraction_mrr) as contraction_mrr,
        sum(churned_mrr) as churned_mrr,
        sum(reactivated_mrr) as reactivated_mrr,
        sum(fx_mrr) as fx_mrr,
        sum(mrr) as mrr,
        sum(customers) as customers,
        sum(new_customers) as new_customers,
        sum(lost_customers) as lost_customers,
        sum(returned_customers) as returned_customers
    from customer_months
    group by month, currency

),

total_scheduled as (

    select sum(mrr) as scheduled_churn_mrr
    from scheduled

),

final as (

    select
        months.month,
        months.currency,
        cast(months.start_mrr as {{ type_money() }}) as start_mrr,
        cast(months.new_mrr as {{ type_money() }}) as new_mrr,
        cast(months.expansion_mrr as {{ type_money() }}) as expansion_mrr,
        cast(months.contraction_mrr as {{ type_money() }}) as contraction_mrr,
        cast(months.churned_mrr as {{ type_money() }}) as churned_mrr,
        cast(months.reactivated_mrr as {{ type_money() }}) as reactivated_mrr,
        cast(months.fx_mrr as {{ type_money() }}) as fx_mrr,
        cast(months.mrr as {{ type_money() }}) as mrr,
        cast(months.customers as {{ dbt.type_int() }}) as customers,
        cast(months.new_customers as {{ dbt.type_int() }}) as new_customers,
        cast(months.lost_customers as {{ dbt.type_int() }}) as lost_customers,
        cast(months.returned_customers as {{ dbt.type_int() }}) as returned_customers,
        -- Only known for now: what was scheduled in earlier months has happened or was called off.
        case
            when months.month = {{ month_of(local_date(as_of())) }}
                then cast(coalesce(total_scheduled.scheduled_churn_mrr, 0) as {{ type_money() }})
        end as scheduled_churn_mrr,
        months.month < {{ month_of(local_date(as_of())) }} as is_complete
    from months
    cross join total_scheduled

)

select * from final
