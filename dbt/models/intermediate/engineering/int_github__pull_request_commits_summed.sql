{{ config(**laid_out(
    by_month='first_commit_at',
    cluster_by=['repository', 'pull_request_number'],
    data_type='timestamp'
)) }}

with commits as (

    select * from {{ ref('stg_github__pull_request_commits') }}

),

final as (

    select
        repository,
        pull_request_number,
        min(authored_at) as first_commit_at,
        count(*) as commits
    from commits
    group by repository, pull_request_number

)

select * from final
