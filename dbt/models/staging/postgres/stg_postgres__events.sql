with source as (

    select * from {{ source('raw_postgres', 'events') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as event_id,
        cast(user_id as {{ dbt.type_bigint() }}) as user_id,
        cast(workspace_id as {{ dbt.type_string() }}) as workspace_id,
        cast(name as {{ dbt.type_string() }}) as event_name,
        cast(properties as {{ dbt.type_string() }}) as properties,
        {{ utc_timestamp('created_at') }} as happened_at
    from source
    where {{ not_deleted('raw_postgres', 'events') }}

)

select * from renamed
