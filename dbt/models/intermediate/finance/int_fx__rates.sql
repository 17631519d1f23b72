with rates as (

    select * from {{ ref('fx_rates') }}

),

base_rates as (

    select
        cast(rate_date as date) as rate_date,
        lower(cast(currency as {{ dbt.type_string() }})) as currency,
        cast(usd_rate as numeric(18, 8)) as usd_rate
    from rates

),

reporting as (

    select
        rate_date,
        usd_rate
    from base_rates
    where currency = '{{ var("reporting_currency") }}'

),

converted as (

    select
        base_rates.currency,
        base_rates.rate_date,
        {% if var('reporting_currency') == 'usd' -%}
        base_rates.usd_rate as rate
        {%- else -%}
        cast(base_rates.usd_rate / reporting.usd_rate as numeric(18, 8)) as rate
        {%- endif %}
    from base_rates
    {% if var('reporting_currency') != 'usd' -%}
    inner join reporting on base_rates.rate_date = reporting.rate_date
    {%- endif %}
    where base_rates.currency <> '{{ var("reporting_currency") }}'

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
        cast(1 as numeric(18, 8)) as rate

)

select * from final
