{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'append',
    on_schema_change='fail',
    cluster_by=['active_week'] if target.type == 'bigquery' else none,
    pre_hook="{{ forget_changed_days(user_weeks(ref('int_usage__feature_days')), 'active_week', 'uses') }}"
) }}

-- All in the first build. What has changed since was forgotten before (see forget_changed_days).
with days_to_read as (

    select distinct user_weeks.used_on
    from {{ user_weeks(ref('int_usage__feature_days')) }}
    {% if is_incremental() -%}
        left join (select distinct active_week from {{ this }}) as kept on user_weeks.active_week = kept.active_week
        where kept.active_week is null
    {%- endif %}

),

new_days as (

    select user_weeks.*
    from {{ user_weeks(ref('int_usage__feature_days')) }}
    inner join days_to_read on user_weeks.used_on = days_to_read.used_on

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
    {{ in_order_of('active_week') }}

)

select * from final
