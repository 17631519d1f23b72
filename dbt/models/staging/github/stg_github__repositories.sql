with source as (

    select * from {{ source('raw_github', 'repositories') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as repository_id,
        cast(name as {{ dbt.type_string() }}) as repository_name,
        cast(full_name as {{ dbt.type_string() }}) as repository,
        cast(private as {{ dbt.type_boolean() }}) as is_private,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived,
        cast(default_branch as {{ dbt.type_string() }}) as default_branch,
        cast(language as {{ dbt.type_string() }}) as language,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        {{ utc_timestamp('pushed_at') }} as pushed_at
    from source

)

select * from renamed
