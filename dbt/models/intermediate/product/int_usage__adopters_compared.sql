with spans as (

    select * from {{ ref('int_accounts__paying_spans') }}

),

leaving as (

    select * from {{ ref('int_accounts__leaving_by_tenure') }}

),

adoptions as (

    select * from {{ ref('int_usage__feature_adoptions') }}

),

workspaces as (

    select * from {{ ref('stg_postgres__workspaces') }}

),

account_adoptions as (

    select
        workspaces.customer_id,
        adoptions.feature,
        min(adoptions.adopted_on) as adopted_on
    from adoptions
    inner join workspaces on adoptions.workspace_id = workspaces.workspace_id
    where workspaces.customer_id is not null
    group by workspaces.customer_id, adoptions.feature

),

totals as (

    select
        count(distinct customer_id) as accounts,
        sum(days_paying) as days_paying,
        sum(times_left) as times_left
    from spans

),

-- Whoever stays long has more time to adopt anything. So an account counts as one of the others until the day it
-- adopted the feature, and only from then on as an adopter: days are compared, not accounts.
adopted_spans as (

    select
        account_adoptions.feature,
        spans.customer_id,
        spans.days_paying,
        spans.last_tenure_month,
        case
            when account_adoptions.adopted_on > spans.ended_on then spans.days_paying
            when account_adoptions.adopted_on > spans.began_on
                then {{ dbt.datediff('spans.began_on', 'account_adoptions.adopted_on', 'day') }}
            else 0
        end as days_without,
        case when account_adoptions.adopted_on <= spans.ended_on then spans.times_left else 0 end as times_left_with,
        case when account_adoptions.adopted_on <= spans.ended_on then 1 else 0 end as is_with,
        case when account_adoptions.adopted_on > spans.began_on then 1 else 0 end as is_without_first
    from account_adoptions
    inner join spans on account_adoptions.customer_id = spans.customer_id

),

-- New accounts leave at another rate than old ones, and adopters are older. So it is also counted how many of them
-- would have left had they left as often as all accounts of their age.
expected as (

    select
        adopted_spans.feature,
        adopted_spans.customer_id,
        adopted_spans.is_with,
        adopted_spans.is_without_first,
        adopted_spans.times_left_with,
        adopted_spans.days_paying - adopted_spans.days_without as days_with,
        at_end.expected_before - at_adoption.expected_before
        + at_end.daily_rate * (adopted_spans.days_paying - 30 * at_end.tenure_month)
        - at_adoption.daily_rate * (adopted_spans.days_without - 30 * at_adoption.tenure_month) as expected_left_with
    from adopted_spans
    inner join leaving as at_end on adopted_spans.last_tenure_month = at_end.tenure_month
    inner join leaving as at_adoption
        on {{ tenure_month('adopted_spans.days_without') }} = at_adoption.tenure_month

),

adopters as (

    select
        feature,
        customer_id,
        sum(days_with) as days_with,
        sum(times_left_with) as times_left_with,
        sum(expected_left_with) as expected_left_with,
        max(is_with) as is_with,
        max(is_without_first) as is_without_first
    from expected
    group by feature, customer_id

),

-- What is not with the feature is without it.
final as (

    select
        adopters.feature,
        sum(adopters.is_with) as accounts_with,
        max(totals.accounts) - count(*) + sum(adopters.is_without_first) as accounts_without,
        sum(adopters.days_with) as days_with,
        max(totals.days_paying) - sum(adopters.days_with) as days_without,
        sum(adopters.times_left_with) as left_with,
        max(totals.times_left) - sum(adopters.times_left_with) as left_without,
        sum(adopters.expected_left_with) as expected_left_with,
        max(totals.times_left) - sum(adopters.expected_left_with) as expected_left_without
    from adopters
    cross join totals
    group by adopters.feature

)

select * from final
