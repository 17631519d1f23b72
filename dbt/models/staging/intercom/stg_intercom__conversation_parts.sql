with source as (

    select * from {{ source('raw_intercom', 'conversation_parts') }}

),

renamed as (

    select
        cast(conversation_id as {{ dbt.type_string() }}) as conversation_id,
        cast(id as {{ dbt.type_string() }}) as part_id,
        cast(part_type as {{ dbt.type_string() }}) as part_type,
        cast(body as {{ dbt.type_string() }}) as body,
        cast(state as {{ dbt.type_string() }}) as state,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        {{ utc_timestamp('notified_at') }} as notified_at,
        cast(author_type as {{ dbt.type_string() }}) as author_type,
        cast(author_id as {{ dbt.type_string() }}) as author_id,
        cast(assigned_to_type as {{ dbt.type_string() }}) as assigned_to_type,
        cast(assigned_to_id as {{ dbt.type_string() }}) as assigned_to_id,
        cast(redacted as {{ dbt.type_boolean() }}) as is_redacted,
        cast(external_id as {{ dbt.type_string() }}) as external_id
    from source

)

select * from renamed
