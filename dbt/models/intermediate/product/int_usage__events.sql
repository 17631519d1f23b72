{#- A view: what is read again and again is int_usage__feature_days, which keeps it by day. -#}
{{ config(materialized='view') }}
{%- set database_events = ref('stg_postgres__events') -%}
{%- set mixpanel_events = ref('stg_mixpanel__events') -%}
{%- set has_database = 'raw_postgres.events' not in var('missing_tables', []) -%}

with events as (

    select * from {{ database_events if has_database else mixpanel_events }}

),

{% if has_database -%}
chosen as (

    select
        cast(event_id as {{ dbt.type_string() }}) as event_id,
        happened_at,
        cast(user_id as {{ dbt.type_string() }}) as user_id,
        workspace_id,
        event_name as feature,
        load_id
    from events

),
{%- else -%}
-- Names that begin with $ are Mixpanel's own: page views, log-ins, changes of a profile. A device that nobody has
-- logged in on is no user.
chosen as (

    select
        {{ dbt.concat(["event_name", "':'", "distinct_id", "':'", "insert_id"]) }} as event_id,
        happened_at,
        case
            when user_id is not null then user_id
            when distinct_id not like '$device:%' then distinct_id
        end as user_id,
        {{ json_text('properties', [var('mixpanel_workspace_property')]) }} as workspace_id,
        event_name as feature,
        load_id
    from events
    where event_name not like '$%'

),
{%- endif %}

final as (

    select
        event_id,
        happened_at,
        {{ local_date('happened_at') }} as used_on,
        user_id,
        workspace_id,
        feature,
        load_id
    from chosen
    where
        happened_at is not null
        and feature is not null
        {%- for name in var('usage_ignores') %}
        and feature <> '{{ name | replace("'", "''") }}'
        {%- endfor %}

)

select * from final
