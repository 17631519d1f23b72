with source as (

    select * from {{ source('raw_github', 'commits') }}

),

renamed as (

    select
        cast(sha as {{ dbt.type_string() }}) as commit_sha,
        cast(repository as {{ dbt.type_string() }}) as repository,
        cast(message as {{ dbt.type_string() }}) as message,
        cast(author_login as {{ dbt.type_string() }}) as author_login,
        cast(author_name as {{ dbt.type_string() }}) as author_name,
        cast(author_email as {{ dbt.type_string() }}) as author_email,
        {{ utc_timestamp('authored_at') }} as authored_at,
        {{ utc_timestamp('committed_at') }} as committed_at
    from source

)

select * from renamed
