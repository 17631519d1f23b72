{{ config(**laid_out(by_month='day', cluster_by=['team_id'])) }}

with events as (

    select * from {{ ref('int_support__events') }}

),

teams as (

    select * from {{ ref('stg_intercom__teams') }}

),

days as (

    select
        happened_on,
        coalesce(team_id, 'none') as team_id,
        sum(case when event = 'opened' then 1 else 0 end) as opened,
        sum(case when event = 'closed' then 1 else 0 end) as closed,
        sum(case when event = 'reopened' then 1 else 0 end) as reopened,
        sum(case when event = 'answered' then 1 else 0 end) as first_responses,
        {{ median("case when event = 'answered' then seconds end") }} as median_first_response_seconds,
        {{ percentile("case when event = 'answered' then seconds end", 0.9) }} as p90_first_response_seconds,
        sum(case when event = 'resolved' then 1 else 0 end) as resolved,
        {{ median("case when event = 'resolved' then seconds end") }} as median_resolution_seconds,
        {{ percentile("case when event = 'resolved' then seconds end", 0.9) }} as p90_resolution_seconds,
        sum(case when event = 'rated' then 1 else 0 end) as ratings,
        sum(case when rating >= 4 then 1 else 0 end) as satisfied_ratings,
        sum(rating) as sum_of_ratings
    from events
    group by happened_on, coalesce(team_id, 'none')

),

final as (

    select
        days.team_id || ':' || cast(days.happened_on as {{ dbt.type_string() }}) as team_day_id,
        days.happened_on as day,
        days.team_id,
        case when days.team_id = 'none' then 'No team' else coalesce(teams.name, days.team_id) end as team,
        cast(days.opened as {{ dbt.type_int() }}) as opened,
        cast(days.closed as {{ dbt.type_int() }}) as closed,
        cast(days.reopened as {{ dbt.type_int() }}) as reopened,
        cast(days.first_responses as {{ dbt.type_int() }}) as first_responses,
        {{ hours_of_seconds('days.median_first_response_seconds') }} as median_first_response_hours,
        {{ hours_of_seconds('days.p90_first_response_seconds') }} as p90_first_response_hours,
        cast(days.resolved as {{ dbt.type_int() }}) as resolved,
        {{ hours_of_seconds('days.median_resolution_seconds') }} as median_resolution_hours,
        {{ hours_of_seconds('days.p90_resolution_seconds') }} as p90_resolution_hours,
        cast(days.ratings as {{ dbt.type_int() }}) as ratings,
        cast(days.satisfied_ratings as {{ dbt.type_int() }}) as satisfied_ratings,
        cast(days.sum_of_ratings as {{ dbt.type_float() }}) / nullif(days.ratings, 0) as average_rating,
        cast(days.satisfied_ratings as {{ dbt.type_float() }}) / nullif(days.ratings, 0) as csat
    from days
    left join teams on days.team_id = teams.team_id

)

select * from final
