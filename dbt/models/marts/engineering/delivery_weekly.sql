with pull_requests as (

    select
        *,
        {{ local_date('closed_at') }} as closed_on
    from {{ ref('pull_requests') }}

),

numbers as (

    {{ numbers_below_1000() }}

),

-- Each pull request in its repository, and once more in the row of all repositories.
in_scope as (

    select
        'repository' as scope,
        repository,
        author_login,
        created_at,
        opened_on,
        merged_on,
        closed_on,
        lead_time_hours,
        time_to_first_review_hours,
        review_to_merge_hours
    from pull_requests

    union all

    select
        'all' as scope,
        'all' as repository,
        author_login,
        created_at,
        opened_on,
        merged_on,
        closed_on,
        lead_time_hours,
        time_to_first_review_hours,
        review_to_merge_hours
    from pull_requests

),

repositories as (

    select
        scope,
        repository,
        min({{ week_of('opened_on') }}) as first_week
    from in_scope
    group by scope, repository

),

-- Every week to the current one, also those in which nothing happened.
weeks as (

    select
        repositories.scope,
        repositories.repository,
        {{ date_plus('repositories.first_week', '7 * numbers.number') }} as week
    from repositories
    inner join numbers
        on {{ date_plus('repositories.first_week', '7 * numbers.number') }} <= {{ local_date(as_of()) }}

),

week_ends as (

    select
        scope,
        repository,
        week,
        {{ date_plus('week', 7) }} as next_week,
        -- The end of the running week is now.
        case
            when {{ start_of_local_day(date_plus('week', 7)) }} < {{ as_of() }}
                then {{ start_of_local_day(date_plus('week', 7)) }}
            else {{ as_of() }}
        end as ends_at
    from weeks

),

merged as (

    select
        scope,
        repository,
        {{ week_of('merged_on') }} as week,
        count(*) as merged,
        count(distinct author_login) as authors,
        {{ median('lead_time_hours') }} as median_lead_time_hours,
        {{ median('time_to_first_review_hours') }} as median_time_to_first_review_hours,
        {{ median('review_to_merge_hours') }} as median_review_to_merge_hours
    from in_scope
    where merged_on is not null
    group by scope, repository, {{ week_of('merged_on') }}

),

opened as (

    select
        scope,
        repository,
        {{ week_of('opened_on') }} as week,
        count(*) as opened
    from in_scope
    group by scope, repository, {{ week_of('opened_on') }}

),

still_open as (

    select
        week_ends.scope,
        week_ends.repository,
        week_ends.week,
        count(*) as open_pull_requests,
        {{ median(hours_between('in_scope.created_at', 'week_ends.ends_at')) }} as median_open_age_hours
    from week_ends
    inner join in_scope
        on
            week_ends.scope = in_scope.scope
            and week_ends.repository = in_scope.repository
            and week_ends.next_week > in_scope.opened_on
            and (in_scope.closed_on is null or week_ends.next_week <= in_scope.closed_on)
    group by week_ends.scope, week_ends.repository, week_ends.week

),

joined as (

    select
        week_ends.scope,
        week_ends.repository,
        week_ends.week,
        coalesce(opened.opened, 0) as opened,
        coalesce(merged.merged, 0) as merged,
        coalesce(merged.authors, 0) as authors,
        merged.median_lead_time_hours,
        merged.median_time_to_first_review_hours,
        merged.median_review_to_merge_hours,
        coalesce(still_open.open_pull_requests, 0) as open_pull_requests,
        still_open.median_open_age_hours,
        week_ends.next_week <= {{ local_date(as_of()) }} as is_complete
    from week_ends
    left join opened
        on
            week_ends.scope = opened.scope
            and week_ends.repository = opened.repository
            and week_ends.week = opened.week
    left join merged
        on
            week_ends.scope = merged.scope
            and week_ends.repository = merged.repository
            and week_ends.week = merged.week
    left join still_open
        on
            week_ends.scope = still_open.scope
            and week_ends.repository = still_open.repository
            and week_ends.week = still_open.week

),

final as (

    select
        {{ dbt.concat(["repository", "':'", "cast(week as " ~ dbt.type_string() ~ ")"]) }} as repository_week_id,
        week,
        repository,
        scope,
        opened,
        merged,
        authors,
        avg(cast(merged as {{ dbt.type_float() }})) over (
            partition by scope, repository order by week rows between 3 preceding and current row
        ) as throughput,
        median_lead_time_hours,
        median_time_to_first_review_hours,
        median_review_to_merge_hours,
        open_pull_requests,
        median_open_age_hours,
        is_complete
    from joined

)

select * from final
