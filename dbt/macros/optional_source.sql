{#- A raw table that dbt models can do without. `columns` ({name: type}) is its shape when the company does not sync it:
    then it is empty. Whoever starts dbt names the tables that do not exist in the variable `missing_tables`. -#}
{% macro optional_source(source_name, table_name, columns) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- if source_name ~ '.' ~ table_name in var('missing_tables', []) -%}
        select
        {%- for name, type in columns.items() %}
            cast(null as {{ type }}) as {{ name }}{{ "," if not loop.last }}
        {%- endfor %}
        from (select 1 as nothing) as nothing
        where 1 = 0
    {%- else -%}
        select * from {{ relation }}
    {%- endif -%}
{%- endmacro %}

{#- Whether the company syncs a raw table, for what has to say "unknown" instead of "none". -#}
{% macro has_raw_table(source_name, table_name) -%}
    {{ return(source_name ~ '.' ~ table_name not in var('missing_tables', [])) }}
{%- endmacro %}
