with source as (

    {{ optional_source('raw_slack', 'channels', {
        'id': dbt.type_string(),
        'name': dbt.type_string(),
        'created': dbt.type_timestamp(),
        'creator_id': dbt.type_string(),
        'is_member': dbt.type_boolean(),
        'is_private': dbt.type_boolean(),
        'is_archived': dbt.type_boolean(),
        'is_general': dbt.type_boolean(),
        'is_shared': dbt.type_boolean(),
        'num_members': dbt.type_bigint(),
        'topic': dbt.type_string(),
        'purpose': dbt.type_string(),
        'previous_names': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as channel_id,
        cast(name as {{ dbt.type_string() }}) as channel_name,
        {{ utc_timestamp('created') }} as created_at,
        cast(creator_id as {{ dbt.type_string() }}) as creator_id,
        cast(is_member as {{ dbt.type_boolean() }}) as is_readable,
        cast(is_private as {{ dbt.type_boolean() }}) as is_private,
        cast(is_archived as {{ dbt.type_boolean() }}) as is_archived,
        cast(is_general as {{ dbt.type_boolean() }}) as is_general,
        cast(is_shared as {{ dbt.type_boolean() }}) as is_shared,
        cast(num_members as {{ dbt.type_bigint() }}) as members,
        cast(topic as {{ dbt.type_string() }}) as topic,
        cast(purpose as {{ dbt.type_string() }}) as purpose,
        cast(previous_names as {{ dbt.type_string() }}) as previous_names
    from source

)

select * from renamed
