{#- What dbt calls a float is `float` everywhere; on DuckDB that has four bytes and keeps seven digits: too few for
    cents of a large amount, and not what the other warehouses keep. -#}
{% macro duckdb__type_float() -%} double {%- endmacro %}
