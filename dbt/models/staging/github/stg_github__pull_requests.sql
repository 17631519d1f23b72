with source as (

    select * from {{ source('raw_github', 'pulls') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as pull_request_id,
        cast(number as {{ dbt.type_bigint() }}) as pull_request_number,
        cast(repository as {{ dbt.type_string() }}) as repository,
        cast(title as {{ dbt.type_string() }}) as title,
        cast(state as {{ dbt.type_string() }}) as state,
        cast(draft as {{ dbt.type_boolean() }}) as is_draft,
        cast(user_login as {{ dbt.type_string() }}) as author_login,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        {{ utc_timestamp('closed_at') }} as closed_at,
        {{ utc_timestamp('merged_at') }} as merged_at,
        cast(merge_commit_sha as {{ dbt.type_string() }}) as merge_commit_sha,
        cast(base_ref as {{ dbt.type_string() }}) as base_ref,
        cast(head_ref as {{ dbt.type_string() }}) as head_ref
    from source

)

select * from renamed
