{#- Inside the project every timestamp is UTC without a zone; these are the only ways in and out. -#}

{#- A raw timestamp (with a zone, or naive and meant as UTC) as naive UTC. -#}
{% macro utc_timestamp(column) -%}
    {{ return(adapter.dispatch('utc_timestamp')(column)) }}
{%- endmacro %}

{% macro default__utc_timestamp(column) -%}
    cast({{ column }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- The session's time zone is UTC (profiles.yml), so a naive value is read as UTC. Counting microseconds is ten times as
    fast as asking for a time zone, which is left for what they cannot count: infinity. -#}
{% macro duckdb__utc_timestamp(column) -%}
    {%- set moment = "cast(" ~ column ~ " as timestamptz)" -%}
    coalesce(make_timestamp(epoch_us({{ moment }})), timezone('UTC', {{ moment }}))
{%- endmacro %}

{% macro postgres__utc_timestamp(column) -%}
    (cast({{ column }} as timestamptz) at time zone 'UTC')
{%- endmacro %}

{#- The calendar day of a UTC timestamp in the company's time zone. -#}
{% macro local_date(column) -%}
    {{ return(adapter.dispatch('local_date')(column)) }}
{%- endmacro %}

{% macro default__local_date(column) -%}
    {%- if var('company_timezone') == 'UTC' -%}
        cast({{ column }} as date)
    {%- else -%}
        cast(timezone('{{ var("company_timezone") }}', timezone('UTC', {{ column }})) as date)
    {%- endif -%}
{%- endmacro %}

{% macro bigquery__local_date(column) -%}
    date({{ column }}, '{{ var("company_timezone") }}')
{%- endmacro %}

{#- The moment the build is for, naive UTC. -#}
{% macro as_of() -%}
    {%- if var('as_of', '') -%}
        cast('{{ var("as_of") }}' as {{ dbt.type_timestamp() }})
    {%- else -%}
        {{ utc_timestamp(dbt.current_timestamp()) }}
    {%- endif -%}
{%- endmacro %}

{#- `days` after a timestamp. -#}
{% macro days_after(column, days) -%}
    cast({{ dbt.dateadd('day', days, column) }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- `seconds` after a timestamp. -#}
{% macro seconds_after(column, seconds) -%}
    cast({{ dbt.dateadd('second', seconds, column) }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- Stands for "for ever" where a null would make every comparison longer. -#}
{% macro end_of_time() -%}
    cast('9999-12-31 00:00:00' as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- Hours from one timestamp to another, to the second. -#}
{% macro hours_between(start, end) -%}
    cast({{ dbt.datediff(start, end, 'second') }} as {{ dbt.type_float() }}) / 3600
{%- endmacro %}

{#- Whole seconds as days, with their fraction. -#}
{% macro days_of_seconds(seconds) -%}
    cast({{ seconds }} as {{ dbt.type_float() }}) / 86400
{%- endmacro %}

{#- Whole seconds as hours, with their fraction. -#}
{% macro hours_of_seconds(seconds) -%}
    cast({{ seconds }} as {{ dbt.type_float() }}) / 3600
{%- endmacro %}
