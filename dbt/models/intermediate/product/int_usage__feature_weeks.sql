{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'append',
    on_schema_change='fail',
    cluster_by=['active_week'] if target.type == 'bigquery' else none,
    pre_hook="{{ forget_since_first_change(user_weeks(ref('int_usage__feature_days')), 'active_week') }}"
) }}

-- All in the first build, then those since the first change, which were forgotten (see forget_since_first_change).
with days_to_read as (

    select distinct user_weeks.used_on
    from {{ user_weeks(ref('int_usage__feature_days')) }}
    {% if is_incremental() -%}
        left join (select distinct active_week from {{ this }}) as kept on user_weeks.active_week = kept.active_week
        where kept.active_week is null
    {%- endif %}

),

new_weeks as (

    select
        user_weeks.active_week,
        user_weeks.user_id,
        user_weeks.feature,
        sum(user_weeks.uses) as uses,
        max(user_weeks.last_load_id) as last_load_id
    from {{ user_weeks(ref('int_usage__feature_days')) }}
    inner join days_to_read on user_weeks.used_on = days_to_read.used_on
    group by user_weeks.active_week, user_weeks.user_id, user_weeks.feature

),

-- The days are named again, because DuckDB makes a copy of what is read twice by another name.
known_weeks as (

    select
        user_weeks.active_week,
        user_weeks.user_id,
        user_weeks.feature
    from {{ user_weeks(ref('int_usage__feature_days')) }}
    inner join days_to_read on user_weeks.used_on = days_to_read.used_on
    {% if is_incremental() -%}
        union all
        select
            active_week,
            user_id,
            feature
        from {{ this }}
        where active_week = cohort_week
    {%- endif %}

),

first_weeks as (

    select
        user_id,
        feature,
        min(active_week) as cohort_week
    from known_weeks
    group by user_id, feature

),

final as (

    select
        new_weeks.active_week,
        new_weeks.user_id,
        new_weeks.feature,
        first_weeks.cohort_week,
        new_weeks.uses,
        new_weeks.last_load_id
    from new_weeks
    inner join first_weeks
        on
            new_weeks.user_id = first_weeks.user_id
            and new_weeks.feature = first_weeks.feature
    {{ in_order_of('new_weeks.active_week') }}

)

select * from final
