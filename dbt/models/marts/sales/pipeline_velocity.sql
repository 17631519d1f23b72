with deals as (

    select * from {{ ref('int_sales__deals_by_scope') }}

),

stays as (

    select * from {{ ref('int_sales__deal_stays') }}
    where outcome = 'open'

),

pipelines as (

    select * from {{ ref('stg_hubspot__pipelines') }}
    where object_type = 'deals'

),

numbers as (

    {{ numbers_below_1000() }}

),

first_months as (

    select
        scope,
        {{ month_of('min(created_on)') }} as first_month
    from deals
    group by scope

),

lifetimes as (

    select
        scope,
        first_month,
        {{ dbt.datediff('first_month', local_date(as_of()), 'month') }} as months  -- noqa: LT05
    from first_months

),

started_months as (

    select
        lifetimes.scope,
        cast({{ dbt.dateadd('month', 'numbers.number', 'lifetimes.first_month') }} as date) as month_start
    from lifetimes
    inner join numbers on lifetimes.months >= numbers.number

),

months as (

    select
        scope,
        month_start,
        cast({{ dbt.dateadd('month', 1, 'month_start') }} as date) as next_month_start
    from started_months

),

open_stays as (

    select
        deals.scope,
        deals.deal_id,
        {{ local_date('stays.entered_at') }} as entered_on,
        coalesce({{ local_date('stays.left_at') }}, cast('9999-12-31' as date)) as left_on
    from deals
    inner join stays on deals.deal_id = stays.deal_id

),

-- Open when the month ended, the current one: now.
open_counts as (

    select
        months.scope,
        months.month_start,
        count(distinct open_stays.deal_id) as open_deals
    from months
    left join open_stays
        on
            months.scope = open_stays.scope
            and months.next_month_start > open_stays.entered_on
            and months.next_month_start <= open_stays.left_on
    group by months.scope, months.month_start

),

closings as (

    select
        scope,
        {{ month_of('closed_on') }} as month_start,
        sum(case when outcome = 'won' then 1 else 0 end) as won_deals,
        sum(case when outcome = 'lost' then 1 else 0 end) as lost_deals,
        cast(sum(case when outcome = 'won' then cents end) as {{ dbt.type_bigint() }}) as won_cents,
        count(case when outcome = 'won' then cents end) as won_deals_with_amount,
        {{ median('cycle_seconds') }} as median_cycle_seconds
    from deals
    where closed_on is not null
    group by scope, {{ month_of('closed_on') }}

),

rates as (

    select
        open_counts.scope,
        open_counts.month_start,
        open_counts.open_deals,
        coalesce(closings.won_deals, 0) as won_deals,
        coalesce(closings.lost_deals, 0) as lost_deals,
        cast(closings.won_deals as {{ dbt.type_float() }})
        / nullif(closings.won_deals + closings.lost_deals, 0) as win_rate,
        closings.won_cents,
        nullif(closings.won_deals_with_amount, 0) as won_deals_with_amount,
        {{ days_of_seconds('closings.median_cycle_seconds') }} as median_cycle_days
    from open_counts
    left join closings
        on
            open_counts.scope = closings.scope
            and open_counts.month_start = closings.month_start

),

final as (

    select
        rates.scope || ':' || cast(rates.month_start as {{ dbt.type_string() }}) as pipeline_month_id,
        rates.month_start as month,
        rates.scope as pipeline_id,
        case
            when rates.scope = 'all' then 'All pipelines' else coalesce(pipelines.name, rates.scope)
        end as pipeline,
        rates.scope = 'all' as is_total,
        cast(rates.open_deals as {{ dbt.type_int() }}) as open_deals,
        cast(rates.won_deals as {{ dbt.type_int() }}) as won_deals,
        cast(rates.lost_deals as {{ dbt.type_int() }}) as lost_deals,
        rates.win_rate,
        '{{ var("reporting_currency") }}' as currency,
        {{ cents_to_money(rounded_quotient('rates.won_cents', 'rates.won_deals_with_amount')) }} as average_won_amount,
        rates.median_cycle_days,
        -- A month without a won deal has no velocity, and neither has one that was won at once: never infinity.
        {{ cents_to_money(
            "round(cast(rates.open_deals * rates.win_rate"
            ~ " * (cast(rates.won_cents as " ~ dbt.type_float() ~ ") / rates.won_deals_with_amount)"
            ~ " / nullif(rates.median_cycle_days, 0) as " ~ dbt.type_numeric() ~ "))"
        ) }} as velocity_per_day,
        rates.month_start < {{ month_of(local_date(as_of())) }} as is_complete
    from rates
    left join pipelines on rates.scope = pipelines.pipeline_id

)

select * from final
