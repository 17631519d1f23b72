with readings as (

    select * from {{ ref('int_mrr__readings') }}

),

looks as (

    select * from {{ ref('int_mrr__looks') }}

),

begun as (

    select min(looked_at) as watched_since
    from looks

),

months as (

    select
        month_start,
        count(*) as customers,
        sum(case when reason is null then 1 else 0 end) as equal_customers,
        sum(case when reason is not null and reason <> 'unexplained' then 1 else 0 end) as explained_customers,
        sum(case when reason = 'unexplained' then 1 else 0 end) as unexplained_customers
    from readings
    group by month_start

),

final as (

    select
        months.month_start as month,
        {{ local_date('begun.watched_since') }} as watched_since,
        cast(months.customers as {{ dbt.type_int() }}) as customers,
        cast(months.equal_customers as {{ dbt.type_int() }}) as equal_customers,
        cast(months.explained_customers as {{ dbt.type_int() }}) as explained_customers,
        cast(months.unexplained_customers as {{ dbt.type_int() }}) as unexplained_customers,
        months.month_start < {{ month_of(local_date(as_of())) }} as is_complete
    from months
    cross join begun

)

select * from final
