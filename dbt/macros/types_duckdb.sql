{#- dbt's word for a fraction, `float`, has 64 bits on PostgreSQL and BigQuery, but 32 on DuckDB: seven digits. -#}
{% macro duckdb__type_float() -%}
    double
{%- endmacro %}
