{#- Schemas are named literally (`mart_finance`, not `main_mart_finance`): pages, checks and people use these names.
    `schema_prefix` puts what is computed elsewhere, for a preview; staging shows raw rows and stays where it is. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set name = (custom_schema_name or target.schema) | trim -%}
    {{ name if name in ('staging', 'seeds') else var('schema_prefix', '') ~ name }}
{%- endmacro %}

{#- For `dbt run-operation`: forget what a preview has built. -#}
{% macro drop_schemas(names) -%}
    {%- for name in names -%}
        {%- do adapter.drop_schema(api.Relation.create(database=target.database, schema=name)) -%}
    {%- endfor -%}
{%- endmacro %}
