with source as (

    {{ optional_source('raw_postgres', 'users', {
        'id': dbt.type_bigint(),
        'workspace_id': dbt.type_string(),
        'email': dbt.type_string(),
        'name': dbt.type_string(),
        'role': dbt.type_string(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'last_seen_at': dbt.type_timestamp(),
        'deleted_at': dbt.type_timestamp()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as user_id,
        cast(workspace_id as {{ dbt.type_string() }}) as workspace_id,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(role as {{ dbt.type_string() }}) as role,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        {{ utc_timestamp('last_seen_at') }} as last_seen_at,
        {{ utc_timestamp('deleted_at') }} as deleted_at
    from source
    where {{ not_deleted('raw_postgres', 'users') }}

)

select * from renamed
