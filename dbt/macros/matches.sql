{#- How a customer was found in another system: "none" when it was not, empty when the system is not connected. -#}
{% macro match_word(column, source_name, table_name) -%}
    {%- if has_raw_table(source_name, table_name) -%}
        coalesce({{ column }}, 'none')
    {%- else -%}
        cast(null as {{ dbt.type_string() }})
    {%- endif -%}
{%- endmacro %}
