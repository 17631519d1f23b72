with source as (

    {{ optional_source('raw_github', 'pull_commits', {
        'sha': dbt.type_string(),
        'pull_number': dbt.type_bigint(),
        'repository': dbt.type_string(),
        'message': dbt.type_string(),
        'author_login': dbt.type_string(),
        'authored_at': dbt.type_timestamp(),
        'committed_at': dbt.type_timestamp()
    }) }}

),

renamed as (

    select
        cast(sha as {{ dbt.type_string() }}) as commit_sha,
        cast(pull_number as {{ dbt.type_bigint() }}) as pull_request_number,
        cast(repository as {{ dbt.type_string() }}) as repository,
        cast(message as {{ dbt.type_string() }}) as message,
        cast(author_login as {{ dbt.type_string() }}) as author_login,
        {{ utc_timestamp('authored_at') }} as authored_at,
        {{ utc_timestamp('committed_at') }} as committed_at
    from source

)

select * from renamed
