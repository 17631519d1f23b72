with source as (

    {{ optional_source('raw_slack', 'reactions', {
        'channel_id': dbt.type_string(),
        'message_ts': dbt.type_string(),
        'thread_ts': dbt.type_string(),
        'name': dbt.type_string(),
        'count': dbt.type_bigint(),
        'user_ids': dbt.type_string(),
        'has_all_users': dbt.type_boolean(),
        'sent_at': dbt.type_timestamp(),
        'found_in': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(channel_id as {{ dbt.type_string() }}) as channel_id,
        cast(message_ts as {{ dbt.type_string() }}) as message_ts,
        cast(thread_ts as {{ dbt.type_string() }}) as thread_ts,
        cast(name as {{ dbt.type_string() }}) as emoji,
        cast(count as {{ dbt.type_bigint() }}) as reactions,
        cast(user_ids as {{ dbt.type_string() }}) as user_ids,
        cast(has_all_users as {{ dbt.type_boolean() }}) as has_all_users,
        {{ utc_timestamp('sent_at') }} as message_sent_at,
        cast(found_in as {{ dbt.type_string() }}) as found_in
    from source

)

select * from renamed
