{#- Rates that were made up for the demo, or the last of which is two months old, still give numbers: say so.
    In a simulated company they are the right ones. `column_name` holds the currencies of amounts, `amount` whether there
    is one to convert. -#}
{% test real_and_recent_rates(model, column_name, amount) %}

{{ config(severity='warn') }}

with used as (

    select distinct {{ column_name }} as currency
    from {{ model }}
    where {{ amount }} > 0 and {{ column_name }} <> '{{ var("reporting_currency") }}'

),

rates as (

    select * from {{ ref('fx_rates') }}

),

known as (

    select
        used.currency,
        max(rates.rate_date) as last_rate_on,
        max(case when rates.origin = 'demo' then 1 else 0 end) as is_made_up
    from used
    inner join rates on used.currency = rates.currency
    where rates.rate_date <= {{ local_date(as_of()) }}
    group by used.currency

)

select
    currency,
    last_rate_on,
    is_made_up
from known
where
    {% if not var('is_simulated') %}is_made_up = 1 or {% endif %}last_rate_on < cast({{ dbt.dateadd('day', -62, local_date(as_of())) }} as date)

{% endtest %}
