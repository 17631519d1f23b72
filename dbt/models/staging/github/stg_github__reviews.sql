with source as (

    {{ optional_source('raw_github', 'reviews', {
        'id': dbt.type_bigint(),
        'pull_number': dbt.type_bigint(),
        'repository': dbt.type_string(),
        'user_login': dbt.type_string(),
        'state': dbt.type_string(),
        'submitted_at': dbt.type_timestamp(),
        'commit_id': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as review_id,
        cast(pull_number as {{ dbt.type_bigint() }}) as pull_request_number,
        cast(repository as {{ dbt.type_string() }}) as repository,
        cast(user_login as {{ dbt.type_string() }}) as reviewer_login,
        cast(state as {{ dbt.type_string() }}) as state,
        {{ utc_timestamp('submitted_at') }} as submitted_at,
        cast(commit_id as {{ dbt.type_string() }}) as commit_sha
    from source

)

select * from renamed
