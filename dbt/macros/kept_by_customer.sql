{#- Incremental dbt models that are kept by customer. int_mrr__changed_customers says whose input is not what it was; their
    rows are forgotten here, before the dbt model runs, and computed anew by it. int_mrr__kept_customers remembers, at the
    end of a build, what the input was: so one that is repeated or breaks off leaves nothing behind. -#}
{% macro kept_by_customer() -%}
    {%- set kept = {
        'materialized': 'incremental',
        'incremental_strategy': 'append',
        'on_schema_change': 'fail',
        'pre_hook': '{{ forget_changed_customers() }}',
    } -%}
    {%- if target.type == 'bigquery' -%}
        {%- do kept.update(incremental_strategy='merge', cluster_by=['customer_id']) -%}
    {%- endif -%}
    {{ return(kept) }}
{%- endmacro %}

{% macro forget_changed_customers() -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where customer_id in (select customer_id from {{ ref('int_mrr__changed_customers') }})
    {%- endif -%}
{%- endmacro %}

{#- A condition: the row is of a customer who is computed in this build. Every large input has it, so that a build costs
    what has changed. Unit tests have no `this`: they are of all rows. -#}
{% macro of_changed_customers() -%}
    {%- if not execute -%}
        {%- do ref('int_mrr__changed_customers') -%} {#- tells dbt the order, also before the first build -#}
    {%- endif -%}
    {%- if this is not none and is_incremental() -%}
        customer_id in (select changed.customer_id from {{ ref('int_mrr__changed_customers') }} as changed)
    {%- else -%}
        true
    {%- endif -%}
    {%- if target.type == 'duckdb' %} and {{ every_customer() }}{% endif -%}
{%- endmacro %}

{#- Also a condition, which in_pieces replaces. -#}
{% macro every_customer() -%} hash(customer_id) % 1 = 0 {%- endmacro %}

{#- A statement that is kept by customer as several, each for a part of the customers: what DuckDB cannot put aside on disk
    while it sorts and joins then stays the same however large the company is. A list of SQL; of one, for all else. -#}
{% macro in_pieces(sql) -%}
    {%- set statements = [] -%}
    {%- set pieces = 1 -%}
    {%- if every_customer() in sql -%}
        {%- call statement('pieces', fetch_result=True) -%}
            select coalesce(sum(input_rows), 0) // {{ var('rows_at_once') }} + 1
            from {{ ref('int_mrr__changed_customers') }}
        {%- endcall -%}
        {%- set pieces = load_result('pieces')['data'][0][0] | int -%}
    {%- endif -%}
    {%- for piece in range(pieces) -%}
        {%- do statements.append(sql | replace(every_customer(), 'hash(customer_id) % ' ~ pieces ~ ' = ' ~ piece)) -%}
    {%- endfor -%}
    {{ return(statements) }}
{%- endmacro %}

{#- A select of what int_mrr__kept_customers remembers from the last build. It is built after everything that is kept, so
    no reference can lead back to it. -#}
{% macro customers_of_the_last_build() -%}
    {%- set kept = none if should_full_refresh() else load_cached_relation(
        api.Relation.create(database=this.database, schema=this.schema, identifier='int_mrr__kept_customers')
    ) -%}
    {%- if kept is none -%}
        select
            cast(null as {{ dbt.type_string() }}) as customer_id,
            cast(null as {{ dbt.type_string() }}) as fingerprint
        from (select 1 as nothing) as nothing
        where 1 = 0
    {%- else -%}
        select
            customer_id,
            fingerprint
        from {{ kept }}
    {%- endif -%}
{%- endmacro %}

{#- How many of these moments of a row are over: what the mere passing of time changes. -#}
{% macro moments_passed(moments) -%}
    {%- for moment in moments %}
        case when {{ moment }} <= {{ as_of() }} then 1 else 0 end{{ " +" if not loop.last }}
    {%- endfor %}
{%- endmacro %}
