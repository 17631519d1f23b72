-- What the customers who were there when a month began did in it: the opening cohort.
with customer_months as (

    select * from {{ ref('mrr_by_customer_month') }}

),

opening as (

    select
        *,
        -- Paused customers are worth nothing and are still customers.
        lag(customers) over (partition by customer_id order by month) as start_customers
    from customer_months

),

limited as (

    select
        *,
        case
            when -contraction_mrr - churned_mrr > start_mrr then start_mrr
            else -contraction_mrr - churned_mrr
        end as lost_mrr
    from opening
    where start_customers = 1

),

final as (

    select
        month,
        cast(count(*) as {{ dbt.type_int() }}) as start_customers,
        sum(start_mrr) as start_mrr,
        sum(start_mrr + expansion_mrr + contraction_mrr + churned_mrr) as kept_and_grown_mrr,
        -- Who grew first and left then loses no more than it began with.
        sum(start_mrr - lost_mrr) as kept_mrr
    from limited
    group by month

)

select * from final
