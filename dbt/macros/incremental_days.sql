{#- An incremental dbt model that keeps whole days. A day stays only as long as nothing can have happened to its
    events: as many as there were, and none that was written since. All others are forgotten here, before the dbt model
    runs, and built anew by it. So late, changed and deleted events of any age are seen, and a build that is repeated or
    breaks off leaves nothing behind.

    `events`: relation with the columns `day` and `load_id` (a load's id is the second it began, so the last one is the
    largest). The dbt model has `day`, `rows_counted` (sums to the events of the day) and `last_load_id`. -#}
{% macro forget_changed_days(events, day, rows_counted, last_load_id) -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where {{ day }} in (
        select kept.{{ day }}
        from (
            select {{ day }}, sum({{ rows_counted }}) as event_count, max({{ last_load_id }}) as last_load_id
            from {{ this }}
            group by {{ day }}
        ) as kept
        left join (
            select {{ day }}, count(*) as event_count, max(load_id) as last_load_id
            from {{ events }}
            group by {{ day }}
        ) as found
            on kept.{{ day }} = found.{{ day }}
        where
            found.{{ day }} is null
            or found.event_count <> kept.event_count
            or coalesce(found.last_load_id, '') <> coalesce(kept.last_load_id, '')
    )
    {%- endif -%}
{%- endmacro %}
