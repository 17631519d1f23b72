with rates as (

    select * from {{ ref('fx_rates') }}

),

dollars as (

    select
        cast(rate_date as date) as rate_date,
        lower(cast(currency as {{ dbt.type_string() }})) as currency,
        {{ decimal_of('usd_rate', 8) }} as usd_rate
    from rates
    where lower(cast(currency as {{ dbt.type_string() }})) <> 'usd'

    union all

    select distinct
        cast(rate_date as date) as rate_date,
        'usd' as currency,
        {{ decimal_of('1', 8) }} as usd_rate
    from rates

),

reporting as (

    select
        rate_date,
        usd_rate
    from dollars
    where currency = '{{ var("reporting_currency") }}'

),

converted as (

    select
        dollars.currency,
        dollars.rate_date,
        {{ decimal_of('dollars.usd_rate / reporting.usd_rate', 8) }} as rate
    from dollars
    inner join reporting on dollars.rate_date = reporting.rate_date
    where dollars.currency <> '{{ var("reporting_currency") }}'

),

final as (

    select
        currency,
        rate_date as valid_from,
        coalesce(
            lead(rate_date) over (partition by currency order by rate_date), cast('9999-12-31' as date)
        ) as valid_to,
        rate
    from converted

    union all

    select
        '{{ var("reporting_currency") }}' as currency,
        cast('1970-01-01' as date) as valid_from,
        cast('9999-12-31' as date) as valid_to,
        {{ decimal_of('1', 8) }} as rate

)

select * from final
