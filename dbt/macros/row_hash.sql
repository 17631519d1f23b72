{#- A number that is another one when any column of the row is; sums of it do not overflow. `row`: the relation's name. -#}
{% macro row_hash(row) -%}
    {{ return(adapter.dispatch('row_hash')(row)) }}
{%- endmacro %}

{% macro duckdb__row_hash(row) -%}
    hash({{ row }})
{%- endmacro %}

{% macro postgres__row_hash(row) -%}
    hashtextextended(cast({{ row }} as text), 0)
{%- endmacro %}

{% macro bigquery__row_hash(row) -%}
    cast(farm_fingerprint(to_json_string({{ row }})) as numeric)
{%- endmacro %}
