with spans as (

    select * from {{ ref('int_accounts__paying_spans') }}

),

numbers as (

    {{ numbers_below_1000() }}

),

-- Each account's days, in pieces of thirty.
pieces as (

    select
        numbers.number as tenure_month,
        case
            when spans.days_paying >= 30 * (numbers.number + 1) then 30
            else spans.days_paying - 30 * numbers.number
        end as days_paying,
        -- An account leaves in the piece that has its last day.
        case when spans.last_tenure_month = numbers.number then spans.times_left else 0 end as times_left
    from spans
    inner join numbers on spans.last_tenure_month >= numbers.number

),

by_month as (

    select
        tenure_month,
        cast(sum(days_paying) as {{ dbt.type_float() }}) as days_paying,
        cast(sum(times_left) as {{ dbt.type_float() }}) as times_left
    from pieces
    group by tenure_month

),

rated as (

    select
        tenure_month,
        days_paying,
        times_left,
        coalesce(times_left / nullif(days_paying, 0), 0) as daily_rate
    from by_month

),

final as (

    select
        tenure_month,
        days_paying,
        times_left,
        daily_rate,
        -- All months before are whole: whoever is in this one has been through them.
        30 * (sum(daily_rate) over (order by tenure_month) - daily_rate) as expected_before
    from rated

)

select * from final
