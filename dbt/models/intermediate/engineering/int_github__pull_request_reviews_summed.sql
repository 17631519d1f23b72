{{ config(**laid_out(
    by_month='first_review_at',
    cluster_by=['repository', 'pull_request_number'],
    data_type='timestamp'
)) }}

with reviews as (

    select * from {{ ref('stg_github__reviews') }}

),

pull_requests as (

    select * from {{ ref('stg_github__pull_requests') }}

),

-- Answers of the author are not reviews, and a pending review has not been sent.
by_others as (

    select reviews.*
    from reviews
    inner join pull_requests
        on
            reviews.repository = pull_requests.repository
            and reviews.pull_request_number = pull_requests.pull_request_number
    where
        reviews.submitted_at is not null
        and coalesce(reviews.reviewer_login, '') <> coalesce(pull_requests.author_login, '')

),

final as (

    select
        repository,
        pull_request_number,
        min(submitted_at) as first_review_at,
        min(case when state = 'APPROVED' then submitted_at end) as first_approval_at,
        count(*) as reviews,
        count(distinct reviewer_login) as reviewers
    from by_others
    group by repository, pull_request_number

)

select * from final
