with source as (

    {{ optional_source('raw_hubspot', 'owners', {
        'id': dbt.type_string(),
        'email': dbt.type_string(),
        'type': dbt.type_string(),
        'first_name': dbt.type_string(),
        'last_name': dbt.type_string(),
        'user_id': dbt.type_string(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'archived': dbt.type_boolean()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as owner_id,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(type as {{ dbt.type_string() }}) as type,
        cast(first_name as {{ dbt.type_string() }}) as first_name,
        cast(last_name as {{ dbt.type_string() }}) as last_name,
        cast(user_id as {{ dbt.type_string() }}) as user_id,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived
    from source

)

select * from renamed
