{#- Schemas are named literally (`mart_finance`, not `main_mart_finance`): pages, checks and people use these names.
    Where published marts live beside those that are being built, what is built is a candidate (portal.warehouse.names);
    in DuckDB they live in files of their own. `schema_prefix` puts what is computed elsewhere, for a preview; staging
    shows raw rows and stays where it is. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set name = (custom_schema_name or target.schema) | trim -%}
    {%- if var('schema_prefix', '') -%}
        {{ name if name in ('staging', 'seeds') else var('schema_prefix') ~ name }}
    {%- else -%}
        {{ "candidate_" if target.type != "duckdb" and name.startswith("mart_") }}{{ name }}
    {%- endif -%}
{%- endmacro %}

{#- For `dbt run-operation`: forget what a preview has built. -#}
{% macro drop_schemas(names) -%}
    {%- for name in names -%}
        {%- do adapter.drop_schema(api.Relation.create(database=target.database, schema=name)) -%}
    {%- endfor -%}
{%- endmacro %}
