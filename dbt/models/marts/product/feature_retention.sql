with active_weeks as (

    select * from {{ ref('int_usage__feature_weeks') }}

),

numbers as (

    {{ numbers_below_1000() }}

),

counted as (

    select
        feature,
        cohort_week,
        active_week,
        count(*) as retained_users
    from active_weeks
    group by feature, cohort_week, active_week

),

-- In the week of their first use all are there.
cohorts as (

    select
        feature,
        cohort_week,
        retained_users as users
    from counted
    where active_week = cohort_week

),

-- A cell exists when its week is over: what has not happened yet is no 0, and half a week would look like a loss.
cells as (

    select
        cohorts.feature,
        cohorts.cohort_week,
        cohorts.users,
        numbers.number as week_number,
        {{ date_plus('cohorts.cohort_week', '7 * numbers.number') }} as active_week
    from cohorts
    inner join numbers
        on
            numbers.number <= {{ var('feature_retention_weeks') }}
            and {{ date_plus('cohorts.cohort_week', '7 * numbers.number') }} < {{ week_of(local_date(as_of())) }}

),

final as (

    select
        {{ dbt.concat(["cells.feature", "':'", "cast(cells.cohort_week as " ~ dbt.type_string() ~ ")", "':'",
            "cast(cells.week_number as " ~ dbt.type_string() ~ ")"]) }} as cell_id,
        cells.feature,
        cells.cohort_week,
        cells.week_number,
        cells.active_week,
        cells.users,
        coalesce(counted.retained_users, 0) as retained_users,
        cast(coalesce(counted.retained_users, 0) as {{ dbt.type_float() }}) / cells.users as retention
    from cells
    left join counted
        on
            cells.feature = counted.feature
            and cells.cohort_week = counted.cohort_week
            and cells.active_week = counted.active_week

)

select * from final
