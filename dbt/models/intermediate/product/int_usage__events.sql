{#- A view: what is read again and again is int_usage__feature_days, which keeps it by day. -#}
{{ config(materialized='view') }}
{%- set of_database = ref('int_usage__database_events') -%}
{%- set of_mixpanel = ref('int_usage__mixpanel_events') -%}
{%- set has_database = 'raw_postgres.events' not in var('missing_tables', []) %}

with events as (

    select * from {{ of_database if has_database else of_mixpanel }}

),

final as (

    select
        event_id,
        happened_at,
        {{ local_date('happened_at') }} as used_on,
        user_id,
        workspace_id,
        feature,
        load_id
    from events
    where
        happened_at is not null
        and feature is not null
        and feature not in ({{ quoted_list(var('usage_ignores')) }})

)

select * from final
