{#- DuckDB replaces a table or view in one atomic statement. The adapter's own way (a second table, two renames, two
    drops) does the same in six round trips through dbt, which is most of the time a small build takes. -#}

{% materialization table, adapter='duckdb', supported_languages=['sql'] %}
    {{ return(replace_relation('table', sql)) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb' %}
    {{ return(replace_relation('view', sql)) }}
{% endmaterialization %}

{#- What an incremental dbt model keeps was seen to by its hooks, in the same transaction; its new rows are added as they
    are computed. A column that the table does not have is an error, and other SQL begins again (metrics/dbt_adapter.py). -#}
{% materialization incremental, adapter='duckdb', supported_languages=['sql'] %}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is none or existing.type != 'table' or should_full_refresh() -%}
        {{ return(replace_relation('table', sql)) }}
    {%- endif -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- for piece in in_pieces(sql) -%}
        {{ add_rows(existing, piece) }}
    {%- endfor %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [existing]}) }}
{% endmaterialization %}

{% macro add_rows(relation, sql) %}
    {%- call statement('main') -%}
        insert into {{ relation }} by name (
            {{ sql }}
        )
    {%- endcall %}
{% endmacro %}

{% macro replace_relation(kind, sql) %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type=kind) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if existing is not none and existing.type != kind %}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif %}
    {%- set pieces = in_pieces(sql) -%}
    {%- call statement('main') -%}
        create or replace {{ kind }} {{ target_relation }} as (
            {{ pieces[0] }}
        )
    {%- endcall %}
    {%- for piece in pieces[1:] -%}
        {{ add_rows(target_relation, piece) }}
    {%- endfor %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do persist_docs(target_relation, model) -%}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmacro %}
