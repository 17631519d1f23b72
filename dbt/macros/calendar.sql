{#- The whole numbers from 0 to 9999: enough days for 27 years, without a query at compile time. -#}
{% macro numbers_below_10000() -%}
    select 1000 * thousands.digit + 100 * hundreds.digit + 10 * tens.digit + ones.digit as number
    from ({{ digits() }}) as thousands
    cross join ({{ digits() }}) as hundreds
    cross join ({{ digits() }}) as tens
    cross join ({{ digits() }}) as ones
{%- endmacro %}

{#- The Monday of a date's week, as a date. -#}
{% macro week_of(column) -%}
    {{ return(adapter.dispatch('week_of')(column)) }}
{%- endmacro %}

{% macro default__week_of(column) -%}
    cast({{ dbt.date_trunc('week', column) }} as date)
{%- endmacro %}

{#- BigQuery's own week begins on Sunday. -#}
{% macro bigquery__week_of(column) -%}
    cast({{ dbt.date_trunc('isoweek', column) }} as date)
{%- endmacro %}

{#- `days` after a date, as a date. -#}
{% macro date_plus(column, days) -%}
    cast({{ dbt.dateadd('day', days, column) }} as date)
{%- endmacro %}

{#- When a date begins in the company's time zone, as naive UTC. -#}
{% macro start_of_local_day(column) -%}
    {{ return(adapter.dispatch('start_of_local_day')(column)) }}
{%- endmacro %}

{% macro default__start_of_local_day(column) -%}
    timezone('UTC', timezone('{{ var("company_timezone") }}', cast({{ column }} as timestamp)))
{%- endmacro %}

{% macro bigquery__start_of_local_day(column) -%}
    timestamp(cast({{ column }} as date), '{{ var("company_timezone") }}')
{%- endmacro %}

{#- In which piece of thirty days the last of `days` days lies, from 0. -#}
{% macro tenure_month(days) -%}
    {{ whole_quotient("(case when " ~ days ~ " > 0 then " ~ days ~ " - 1 else 0 end)", "30") }}
{%- endmacro %}
