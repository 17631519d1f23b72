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
            {{ cast_or_null(adapter.quote(theirs), type) }}
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

{#- A value as another type; null where it does not fit. -#}
{% macro cast_or_null(expression, type) -%}
    {{ return(adapter.dispatch('cast_or_null')(expression, type)) }}
{%- endmacro %}

{% macro duckdb__cast_or_null(expression, type) -%}
    try_cast({{ expression }} as {{ type }})
{%- endmacro %}

{% macro bigquery__cast_or_null(expression, type) -%}
    safe_cast({{ expression }} as {{ type }})
{%- endmacro %}

{#- PostgreSQL fails on what does not fit (before version 16 it cannot even be asked): only what looks right is cast. -#}
{% macro postgres__cast_or_null(expression, type) -%}
    {%- set text = "cast(" ~ expression ~ " as text)" -%}
    {%- if type == dbt.type_string() -%}
        {{ text }}
    {%- elif type == 'date' -%}
        case
            when {{ text }} ~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])' then cast({{ text }} as date)
        end
    {%- else -%}
        case
            when {{ text }} ~ '^ *[-+]?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)? *$' then cast({{ text }} as {{ type }})
        end
    {%- endif -%}
{%- endmacro %}
