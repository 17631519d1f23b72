{#- Incremental dbt models that keep whole days or weeks. One stays only as long as nothing can have happened to its events:
    as many as there were, and none that was written since. All others are forgotten here, before the dbt model runs, and
    built anew by it. So late, changed and deleted events of any age are seen, and a build that is repeated or breaks off
    leaves nothing behind.

    `events`: a relation with a row an event and the columns `day` and `load_id` (the second the load began, so the last one
    is the largest); for the two macros below, a row with `uses` of them and their `last_load_id`. The dbt model has the
    same `day`, `uses`, which sums to the events of the day, and `last_load_id`. -#}
{% macro forget_changed_days(events, day) -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where {{ day }} in ({{ changed_days(events, day, '1', 'load_id') }})
    {%- endif -%}
{%- endmacro %}

{#- The same for a dbt model whose rows also say what came before them: what is later than the first change is forgotten too. -#}
{% macro forget_since_first_change(events, day) -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where {{ day }} >= (select min({{ day }}) from ({{ changed_days(events, day, 'uses', 'last_load_id') }}) as changed)
    {%- endif -%}
{%- endmacro %}

{% macro changed_days(events, day, uses, last_load_id) -%}
    select coalesce(kept.{{ day }}, found.{{ day }}) as {{ day }}
    from (
        select {{ day }}, sum(uses) as uses, max(last_load_id) as last_load_id
        from {{ this }}
        group by {{ day }}
    ) as kept
    full outer join (
        select {{ day }}, sum({{ uses }}) as uses, max({{ last_load_id }}) as last_load_id
        from {{ events }}
        group by {{ day }}
    ) as found
        on kept.{{ day }} = found.{{ day }}
    where
        coalesce(kept.uses, 0) <> coalesce(found.uses, 0)
        or coalesce(kept.last_load_id, '') <> coalesce(found.last_load_id, '')
{%- endmacro %}

{#- For an incremental dbt model with a row for each `day` to today that looks back over `days` days: forget those that have
    a changed day behind them, those that were not over or no longer are, and those that now lie before the first day. -#}
{% macro forget_changed_windows(events, day, days) -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where
        not is_complete
        or {{ day }} >= {{ local_date(as_of()) }}
        or {{ day }} < (select min({{ day }}) from {{ events }})
        or {{ day }} in (
            select {{ date_plus('changed.' ~ day, 'numbers.number') }}
            from ({{ changed_days(events, day, 'uses', 'last_load_id') }}) as changed
            inner join ({{ numbers_below_1000() }}) as numbers on numbers.number < {{ days }}
        )
    {%- endif -%}
{%- endmacro %}

{#- Rows of one day beside each other: DuckDB then passes over the rest when it is asked for a few days. The others have
    partitions for that, or do without. -#}
{% macro in_order_of(day) -%}
    {{ "order by " ~ day if target.type == 'duckdb' }}
{%- endmacro %}
