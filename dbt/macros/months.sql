{#- The whole numbers from 0 to 999: enough months for eighty years, without a query at compile time. -#}
{% macro numbers_below_1000() -%}
    select 100 * hundreds.digit + 10 * tens.digit + ones.digit as number
    from ({{ digits() }}) as hundreds
    cross join ({{ digits() }}) as tens
    cross join ({{ digits() }}) as ones
{%- endmacro %}

{% macro digits() -%}
    select 0 as digit
    {%- for digit in range(1, 10) %} union all select {{ digit }}{% endfor %}
{%- endmacro %}

{#- The first day of the month of a date, as a date. -#}
{% macro month_of(column) -%}
    cast({{ dbt.date_trunc('month', column) }} as date)
{%- endmacro %}
