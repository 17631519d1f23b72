{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'append',
    on_schema_change='fail',
    cluster_by=['active_week'] if target.type == 'bigquery' else none,
    pre_hook="{{ forget_changed_days(user_weeks(ref('int_usage__feature_days')), 'active_week', 'uses') }}"
) }}

with user_days as (

    select * from {{ user_weeks(ref('int_usage__feature_days')) }}

),

-- None in the first build. What has changed since was forgotten before (see forget_changed_days).
kept_weeks as (

    select distinct active_week
    from {{ this if is_incremental() else user_weeks(ref('int_usage__feature_days')) }}
    where {{ 'true' if is_incremental() else 'false' }}

),

new_days as (

    select user_days.*
    from user_days
    left join kept_weeks on user_days.active_week = kept_weeks.active_week
    where kept_weeks.active_week is null

),

final as (

    select
        active_week,
        user_id,
        feature,
        sum(uses) as uses,
        max(last_load_id) as last_load_id
    from new_days
    group by active_week, user_id, feature

)

select * from final
