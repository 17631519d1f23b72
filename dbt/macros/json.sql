{#- A select of one row for each string in a JSON list: the key column and `element`. -#}
{% macro json_list_elements(relation, key, column, element) -%}
    {{ return(adapter.dispatch('json_list_elements')(relation, key, column, element)) }}
{%- endmacro %}

{% macro duckdb__json_list_elements(relation, key, column, element) -%}
    select {{ key }}, unnest(from_json(cast({{ column }} as json), '["VARCHAR"]')) as {{ element }}
    from {{ relation }}
    where {{ column }} is not null
{%- endmacro %}

{% macro postgres__json_list_elements(relation, key, column, element) -%}
    select {{ key }}, {{ element }}
    from {{ relation }}
    cross join lateral jsonb_array_elements_text(cast({{ column }} as jsonb)) as elements ({{ element }})
    where {{ column }} is not null
{%- endmacro %}

{% macro bigquery__json_list_elements(relation, key, column, element) -%}
    select {{ key }}, {{ element }}
    from {{ relation }}
    cross join unnest(json_value_array({{ column }})) as {{ element }}
    where {{ column }} is not null
{%- endmacro %}

{#- The text at `path` (a list of keys) inside a JSON object; null when there is none. -#}
{% macro json_text(column, path) -%}
    {{ return(adapter.dispatch('json_text')(column, path)) }}
{%- endmacro %}

{% macro duckdb__json_text(column, path) -%}
    json_extract_string(cast({{ column }} as varchar), '$."{{ path | join('"."') }}"')
{%- endmacro %}

{% macro postgres__json_text(column, path) -%}
    (cast({{ column }} as jsonb) #>> '{% raw %}{{% endraw %}{{ path | join(",") }}{% raw %}}{% endraw %}')
{%- endmacro %}

{% macro bigquery__json_text(column, path) -%}
    json_value({{ column }}, '$."{{ path | join('"."') }}"')
{%- endmacro %}
