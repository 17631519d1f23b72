with customer_months as (

    select * from {{ ref('mrr_by_customer_month') }}

),

-- A customer's first row is the month of its first paid MRR; whoever returns stays there.
numbered as (

    select
        *,
        min(month) over (partition by customer_id) as cohort_month
    from customer_months

),

aged as (

    select
        *,
        {{ dbt.datediff('cohort_month', 'month', 'month') }} as months_since  -- noqa: LT05
    from numbered

),

cohorts as (

    select
        cohort_month,
        count(*) as cohort_customers,
        sum(new_mrr) as cohort_mrr
    from aged
    where months_since = 0
    group by cohort_month

),

-- Months to come have no row: what has not happened is blank, never 0.
cells as (

    select
        cohort_month,
        months_since,
        month,
        currency,
        sum(customers) as customers,
        sum(mrr) as mrr
    from aged
    group by cohort_month, months_since, month, currency

),

joined as (

    select
        cells.cohort_month,
        cells.months_since,
        cells.month,
        cells.currency,
        cohorts.cohort_customers,
        cohorts.cohort_mrr,
        -- Month 0 is what everything is measured by: the cohort when it first paid, also those who left within days.
        case when cells.months_since = 0 then cohorts.cohort_customers else cells.customers end as customers,
        case when cells.months_since = 0 then cohorts.cohort_mrr else cells.mrr end as mrr
    from cells
    inner join cohorts on cells.cohort_month = cohorts.cohort_month

),

final as (

    select
        cast(cohort_month as {{ dbt.type_string() }})
        || ':' || cast(months_since as {{ dbt.type_string() }}) as cohort_cell_id,
        cohort_month,
        cast(months_since as {{ dbt.type_int() }}) as months_since,
        month,
        currency,
        cast(cohort_customers as {{ dbt.type_int() }}) as cohort_customers,
        cast(customers as {{ dbt.type_int() }}) as customers,
        cast(cohort_mrr as {{ type_money() }}) as cohort_mrr,
        cast(mrr as {{ type_money() }}) as mrr,
        {{ share('customers', 'cohort_customers') }} as customer_retention,
        {{ share('mrr', 'cohort_mrr') }} as mrr_retention,
        month < {{ month_of(local_date(as_of())) }} as is_complete
    from joined

)

select * from final
