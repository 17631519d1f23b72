{#- What users did by day, with the week of the day; what nobody did who was logged in is left out. -#}
{% macro user_weeks(feature_days) -%}
    (
        select
            used_on,
            {{ week_of('used_on') }} as active_week,
            user_id,
            feature,
            uses,
            last_load_id
        from {{ feature_days }}
        where user_id is not null
    ) as user_weeks
{%- endmacro %}

{#- The same whoever did it, by the name that a mart's days have. -#}
{% macro usage_by_day(feature_days) -%}
    (
        select
            used_on as day,
            uses,
            last_load_id
        from {{ feature_days }}
    ) as usage_by_day
{%- endmacro %}
