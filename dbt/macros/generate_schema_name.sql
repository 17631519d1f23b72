{#- Schemas are named literally (`mart_finance`, not `main_mart_finance`): pages, checks and people use these names. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
