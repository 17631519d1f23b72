{{ config(**laid_out(by_month='opened_on', cluster_by=['repository'])) }}

with pull_requests as (

    select * from {{ ref('stg_github__pull_requests') }}

),

reviews as (

    select * from {{ ref('int_github__pull_request_reviews_summed') }}

),

commits as (

    select * from {{ ref('int_github__pull_request_commits_summed') }}

),

joined as (

    select
        pull_requests.*,
        commits.first_commit_at,
        commits.commits,
        reviews.first_review_at,
        reviews.first_approval_at,
        reviews.reviews,
        reviews.reviewers,
        -- Work begins with the first commit. A branch whose commits were rewritten after the request was opened, or
        -- whose commits are not known, began when it was opened.
        case
            when commits.first_commit_at < pull_requests.created_at then commits.first_commit_at
            else pull_requests.created_at
        end as work_started_at
    from pull_requests
    left join commits
        on
            pull_requests.repository = commits.repository
            and pull_requests.pull_request_number = commits.pull_request_number
    left join reviews
        on
            pull_requests.repository = reviews.repository
            and pull_requests.pull_request_number = reviews.pull_request_number

),

final as (

    select
        pull_request_id,
        repository,
        pull_request_number,
        title,
        author_login,
        case
            when merged_at is not null then 'merged'
            when closed_at is not null then 'closed'
            when is_draft then 'draft'
            else 'open'
        end as status,
        base_ref,
        created_at,
        work_started_at,
        first_commit_at,
        first_review_at,
        first_approval_at,
        merged_at,
        closed_at,
        {{ local_date('created_at') }} as opened_on,
        {{ local_date('merged_at') }} as merged_on,
        coalesce(commits, 0) as commits,
        coalesce(reviews, 0) as reviews,
        coalesce(reviewers, 0) as reviewers,
        {{ hours_between('work_started_at', 'merged_at') }} as lead_time_hours,
        {{ hours_between('created_at', 'first_review_at') }} as time_to_first_review_hours,
        {{ hours_between('first_review_at', 'merged_at') }} as review_to_merge_hours,
        case
            when closed_at is null and merged_at is null then {{ hours_between('created_at', as_of()) }}
        end as open_age_hours
    from joined

)

select * from final
