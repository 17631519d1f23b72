{#- A select of a raw table whose columns are the company's own: a column that it does not have is empty, and so is a
    value that does not fit its type; the whole table, when the company does not sync it (see optional_source).
    `columns`: our name → (the company's name, type). -#}
{% macro optional_columns(source_name, table_name, columns) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- set is_missing = source_name ~ '.' ~ table_name in var('missing_tables', []) -%}
    {%- set there = [] -%}
    {%- if execute and not is_missing -%}
        {%- set there = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {%- endif -%}
    select
    {%- for name, (theirs, type) in columns.items() %}
        {% if theirs in there -%}
            {{ dbt.safe_cast(adapter.quote(theirs), type) }}
        {%- else -%}
            cast(null as {{ type }})
        {%- endif %} as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
    {% if is_missing -%}
    from (select 1 as nothing) as nothing
    where 1 = 0
    {%- else -%}
    from {{ relation }}
    {%- endif -%}
{%- endmacro %}
