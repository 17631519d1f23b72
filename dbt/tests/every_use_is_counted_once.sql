-- Against the events themselves, not only against a second row of the same user and feature: what is kept by day and by
-- week adds up to what there is. A day that was added twice, or is missing, does not.
with events as (

    select
        used_on,
        count(*) as uses,
        count(user_id) as user_uses
    from {{ ref('int_usage__events') }}
    group by used_on

),

days as (

    select
        used_on,
        sum(uses) as uses
    from {{ ref('int_usage__feature_days') }}
    group by used_on

),

weeks as (

    select
        active_week,
        sum(uses) as uses
    from {{ ref('int_usage__feature_weeks') }}
    group by active_week

),

events_by_week as (

    select
        {{ week_of('used_on') }} as active_week,
        sum(user_uses) as uses
    from events
    group by {{ week_of('used_on') }}

)

select
    'day' as kept_by,
    coalesce(events.used_on, days.used_on) as began_on,
    events.uses,
    days.uses as kept_uses
from events
full outer join days on events.used_on = days.used_on
where coalesce(events.uses, 0) <> coalesce(days.uses, 0)

union all

select
    'week' as kept_by,
    coalesce(events_by_week.active_week, weeks.active_week) as began_on,
    events_by_week.uses,
    weeks.uses as kept_uses
from events_by_week
full outer join weeks on events_by_week.active_week = weeks.active_week
where coalesce(events_by_week.uses, 0) <> coalesce(weeks.uses, 0)
