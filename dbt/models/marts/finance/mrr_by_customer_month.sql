{{ config(**kept_by_customer()) }}

with movements as (

    select * from {{ ref('int_mrr__movements') }}
    where {{ of_changed_customers() }}

),

item_changes as (

    select * from {{ ref('int_mrr__item_timeline') }}
    where {{ of_changed_customers() }}

),

numbers as (

    {{ numbers_below_1000() }}

),

first_months as (

    select
        customer_id,
        {{ month_of('min(changed_on)') }} as first_month
    from movements
    group by customer_id

),

lifetimes as (

    select
        customer_id,
        first_month,
        {{ dbt.datediff('first_month', local_date(as_of()), 'month') }} as months  -- noqa: LT05
    from first_months

),

started_months as (

    select
        lifetimes.customer_id,
        cast({{ dbt.dateadd('month', 'numbers.number', 'lifetimes.first_month') }} as date) as month_start
    from lifetimes
    inner join numbers on lifetimes.months >= numbers.number

),

customer_months as (

    select
        customer_id,
        month_start,
        cast({{ dbt.dateadd('month', 1, 'month_start') }} as date) as next_month_start
    from started_months

),

-- The worth at the end of a month is read from what each item was worth then, not from the movements:
-- that both agree is tested.
ranked_item_days as (

    select
        *,
        row_number() over (partition by item_key, changed_on order by changed_at desc) as place_from_end
    from item_changes

),

item_days as (

    select
        item_key,
        customer_id,
        mrr_cents,
        changed_on as valid_from,
        coalesce(
            lead(changed_on) over (partition by item_key order by changed_on), cast('9999-12-31' as date)
        ) as valid_to
    from ranked_item_days
    where place_from_end = 1

),

month_ends as (

    select
        customer_months.customer_id,
        customer_months.month_start,
        coalesce(sum(item_days.mrr_cents), 0) as end_cents
    from customer_months
    left join item_days
        on
            customer_months.customer_id = item_days.customer_id
            and customer_months.next_month_start > item_days.valid_from
            and customer_months.next_month_start <= item_days.valid_to
            and item_days.mrr_cents > 0
    group by customer_months.customer_id, customer_months.month_start

),

monthly_movements as (

    select
        customer_id,
        {{ month_of('changed_on') }} as month_start,
        sum(case when movement = 'new' then change_cents else 0 end) as new_cents,
        sum(case when movement = 'expansion' then change_cents else 0 end) as expansion_cents,
        sum(case when movement = 'contraction' then change_cents else 0 end) as contraction_cents,
        sum(case when movement = 'churn' then change_cents else 0 end) as churn_cents,
        sum(case when movement = 'reactivation' then change_cents else 0 end) as reactivation_cents,
        sum(case when movement = 'fx' then change_cents else 0 end) as fx_cents,
        sum(case when movement = 'new' then 1 else 0 end) as new_customers,
        sum(case when movement = 'churn' then 1 else 0 end) as lost_customers,
        sum(case when movement = 'reactivation' then 1 else 0 end) as returned_customers,
        sum(customer_change) as customer_change
    from movements
    group by customer_id, {{ month_of('changed_on') }}

),

joined as (

    select
        month_ends.customer_id,
        month_ends.month_start,
        month_ends.end_cents,
        coalesce(
            lag(month_ends.end_cents) over (
                partition by month_ends.customer_id order by month_ends.month_start
            ), 0
        ) as start_cents,
        coalesce(monthly_movements.new_cents, 0) as new_cents,
        coalesce(monthly_movements.expansion_cents, 0) as expansion_cents,
        coalesce(monthly_movements.contraction_cents, 0) as contraction_cents,
        coalesce(monthly_movements.churn_cents, 0) as churn_cents,
        coalesce(monthly_movements.reactivation_cents, 0) as reactivation_cents,
        coalesce(monthly_movements.fx_cents, 0) as fx_cents,
        coalesce(monthly_movements.new_customers, 0) as new_customers,
        coalesce(monthly_movements.lost_customers, 0) as lost_customers,
        coalesce(monthly_movements.returned_customers, 0) as returned_customers,
        sum(coalesce(monthly_movements.customer_change, 0)) over (
            partition by month_ends.customer_id
            order by month_ends.month_start
            rows between unbounded preceding and current row
        ) as customers
    from month_ends
    left join monthly_movements
        on
            month_ends.customer_id = monthly_movements.customer_id
            and month_ends.month_start = monthly_movements.month_start

),

final as (

    select
        customer_id || ':' || cast(month_start as {{ dbt.type_string() }}) as customer_month_id,
        customer_id,
        month_start as month,
        '{{ var("reporting_currency") }}' as currency,
        {{ cents_to_money('start_cents') }} as start_mrr,
        {{ cents_to_money('new_cents') }} as new_mrr,
        {{ cents_to_money('expansion_cents') }} as expansion_mrr,
        {{ cents_to_money('contraction_cents') }} as contraction_mrr,
        {{ cents_to_money('churn_cents') }} as churned_mrr,
        {{ cents_to_money('reactivation_cents') }} as reactivated_mrr,
        {{ cents_to_money('fx_cents') }} as fx_mrr,
        {{ cents_to_money('end_cents') }} as mrr,
        cast(customers as {{ dbt.type_int() }}) as customers,
        cast(new_customers as {{ dbt.type_int() }}) as new_customers,
        cast(lost_customers as {{ dbt.type_int() }}) as lost_customers,
        cast(returned_customers as {{ dbt.type_int() }}) as returned_customers
    from joined

)

select * from final
