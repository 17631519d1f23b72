{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'append',
    on_schema_change='fail',
    pre_hook="{{ forget_changed_days(ref('int_usage__events'), 'used_on') }}"
) }}

with events as (

    select * from {{ ref('int_usage__events') }}

),

-- None in the first build. What has changed since was forgotten before (see forget_changed_days).
kept_days as (

    select distinct used_on
    from {{ this if is_incremental() else ref('int_usage__events') }}
    where {{ 'true' if is_incremental() else 'false' }}

),

new_events as (

    select events.*
    from events
    left join kept_days on events.used_on = kept_days.used_on
    where kept_days.used_on is null

),

final as (

    select
        used_on,
        user_id,
        workspace_id,
        feature,
        count(*) as uses,
        min(happened_at) as first_used_at,
        max(load_id) as last_load_id
    from new_events
    group by used_on, user_id, workspace_id, feature
    {{ in_order_of('used_on') }}

)

select * from final
