{#- A condition: the row has not been deleted at its source. A source that is followed by its log keeps deleted rows and
    says when they went; whoever starts dbt names such raw tables in the variable `soft_deletes`. -#}
{% macro not_deleted(source_name, table_name) -%}
    {{ '_deleted_at is null' if source_name ~ '.' ~ table_name in var('soft_deletes', []) else '1 = 1' }}
{%- endmacro %}
