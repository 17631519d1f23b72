{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'append',
    on_schema_change='fail',
    pre_hook="{{ forget_changed_windows(usage_by_day(ref('int_usage__feature_days')), 'day', 30) }}"
) }}

with numbers as (

    {{ numbers_below_10000() }}

),

first_day as (

    select min(used_on) as first_used_on
    from {{ ref('int_usage__feature_days') }}

),

-- Every day to today, also those on which nobody came.
calendar as (

    select {{ date_plus('first_day.first_used_on', 'numbers.number') }} as day
    from first_day
    inner join numbers
        on {{ dbt.datediff('first_day.first_used_on', local_date(as_of()), 'day') }} >= numbers.number  -- noqa: LT05

),

-- All of them in the first build. What is not what it was has been forgotten before (see forget_changed_windows).
new_days as (

    select calendar.day
    from calendar
    {% if is_incremental() -%}
        left join {{ this }} as kept on calendar.day = kept.day
        where kept.day is null
    {%- endif %}

),

-- What happened in the thirty days that end with one of them. The table is named where it is read, so that only these
-- days are: of what is read twice by another name DuckDB makes a copy first.
days_to_read as (

    select distinct {{ date_plus('new_days.day', '-numbers.number') }} as used_on
    from new_days
    inner join numbers on numbers.number < 30

),

uses as (

    select feature_days.*
    from {{ ref('int_usage__feature_days') }} as feature_days
    inner join days_to_read on feature_days.used_on = days_to_read.used_on

),

active_days as (

    select distinct
        'user' as kind,
        user_id as actor_id,
        used_on
    from uses
    where user_id is not null

    union all

    select distinct
        'workspace' as kind,
        workspace_id as actor_id,
        used_on
    from uses
    where workspace_id is not null

),

with_next as (

    select
        kind,
        used_on,
        lead(used_on) over (partition by kind, actor_id order by used_on) as next_used_on
    from active_days

),

windows as (

    select 1 as window_days
    union all
    select 7 as window_days
    union all
    select 30 as window_days

),

-- One active day counts in the windows of the days from it on, until they have moved past it or the same user's next
-- active day takes over: so nobody counts twice, and no day has to be joined with thirty others.
counted_spans as (

    select
        with_next.kind,
        windows.window_days,
        with_next.used_on as counted_from,
        case
            when with_next.next_used_on < {{ date_plus('with_next.used_on', 'windows.window_days') }}
                then with_next.next_used_on
            else {{ date_plus('with_next.used_on', 'windows.window_days') }}
        end as counted_until
    from with_next
    cross join windows

),

changes as (

    select
        kind,
        window_days,
        counted_from as day,
        1 as change
    from counted_spans

    union all

    select
        kind,
        window_days,
        counted_until as day,
        -1 as change
    from counted_spans

),

changes_by_day as (

    select
        day,
        sum(case when kind = 'user' and window_days = 1 then change else 0 end) as dau_change,
        sum(case when kind = 'user' and window_days = 7 then change else 0 end) as wau_change,
        sum(case when kind = 'user' and window_days = 30 then change else 0 end) as mau_change,
        sum(case when kind = 'workspace' and window_days = 1 then change else 0 end) as daily_change,
        sum(case when kind = 'workspace' and window_days = 7 then change else 0 end) as weekly_change,
        sum(case when kind = 'workspace' and window_days = 30 then change else 0 end) as monthly_change
    from changes
    group by day

),

counts as (

    select
        calendar.day,
        sum(coalesce(changes_by_day.dau_change, 0)) over (order by calendar.day) as dau,
        sum(coalesce(changes_by_day.wau_change, 0)) over (order by calendar.day) as wau,
        sum(coalesce(changes_by_day.mau_change, 0)) over (order by calendar.day) as mau,
        sum(coalesce(changes_by_day.daily_change, 0)) over (order by calendar.day) as daily_workspaces,
        sum(coalesce(changes_by_day.weekly_change, 0)) over (order by calendar.day) as weekly_workspaces,
        sum(coalesce(changes_by_day.monthly_change, 0)) over (order by calendar.day) as monthly_workspaces
    from calendar
    left join changes_by_day on calendar.day = changes_by_day.day

),

uses_by_day as (

    select
        used_on as day,
        sum(uses) as uses,
        max(last_load_id) as last_load_id
    from uses
    group by used_on

),

final as (

    select
        counts.day,
        cast(counts.dau as {{ dbt.type_bigint() }}) as dau,
        cast(counts.wau as {{ dbt.type_bigint() }}) as wau,
        cast(counts.mau as {{ dbt.type_bigint() }}) as mau,
        cast(counts.daily_workspaces as {{ dbt.type_bigint() }}) as daily_workspaces,
        cast(counts.weekly_workspaces as {{ dbt.type_bigint() }}) as weekly_workspaces,
        cast(counts.monthly_workspaces as {{ dbt.type_bigint() }}) as monthly_workspaces,
        cast(counts.dau as {{ dbt.type_float() }}) / nullif(counts.mau, 0) as stickiness,
        cast(counts.daily_workspaces as {{ dbt.type_float() }})
        / nullif(counts.monthly_workspaces, 0) as workspace_stickiness,
        counts.day < {{ local_date(as_of()) }} as is_complete,
        cast(coalesce(uses_by_day.uses, 0) as {{ dbt.type_bigint() }}) as uses,
        uses_by_day.last_load_id
    from counts
    inner join new_days on counts.day = new_days.day
    left join uses_by_day on counts.day = uses_by_day.day

)

select * from final
