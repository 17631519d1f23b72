{#- Exact percentiles within a group, interpolated between neighbours; null when there is no value. -#}

{#- `fraction`: 0.9 for the value that nine of ten do not exceed. -#}
{% macro percentile(column, fraction) -%}
    {{ return(adapter.dispatch('percentile')(column, fraction)) }}
{%- endmacro %}

{% macro default__percentile(column, fraction) -%}
    percentile_cont({{ fraction }}) within group (order by {{ column }})
{%- endmacro %}

{% macro duckdb__percentile(column, fraction) -%}
    quantile_cont({{ column }}, {{ fraction }})
{%- endmacro %}

{#- BigQuery has it over a window only. -#}
{% macro bigquery__percentile(column, fraction) -%}
    (
        select percentile_cont(each_value, {{ fraction }}) over ()
        from unnest(array_agg({{ column }} ignore nulls)) as each_value
        limit 1
    )
{%- endmacro %}

{% macro median(column) -%}
    {{ percentile(column, 0.5) }}
{%- endmacro %}
