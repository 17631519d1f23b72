with source as (

    {{ optional_source('raw_postgres', 'events', {
        'id': dbt.type_bigint(),
        'user_id': dbt.type_bigint(),
        'workspace_id': dbt.type_string(),
        'name': dbt.type_string(),
        'properties': dbt.type_string(),
        'created_at': dbt.type_timestamp(),
        '_dlt_load_id': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as event_id,
        cast(user_id as {{ dbt.type_bigint() }}) as user_id,
        cast(workspace_id as {{ dbt.type_string() }}) as workspace_id,
        cast(name as {{ dbt.type_string() }}) as event_name,
        cast(properties as {{ dbt.type_string() }}) as properties,
        {{ utc_timestamp('created_at') }} as happened_at,
        cast(_dlt_load_id as {{ dbt.type_string() }}) as load_id
    from source
    where {{ not_deleted('raw_postgres', 'events') }}

)

select * from renamed
