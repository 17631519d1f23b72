with source as (

    select * from {{ source('raw_github', 'issues') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as issue_id,
        cast(number as {{ dbt.type_bigint() }}) as issue_number,
        cast(repository as {{ dbt.type_string() }}) as repository,
        cast(title as {{ dbt.type_string() }}) as title,
        cast(state as {{ dbt.type_string() }}) as state,
        cast(user_login as {{ dbt.type_string() }}) as author_login,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        {{ utc_timestamp('closed_at') }} as closed_at,
        cast(comments as {{ dbt.type_bigint() }}) as comment_count,
        cast(is_pull_request as {{ dbt.type_boolean() }}) as is_pull_request
    from source

)

select * from renamed
