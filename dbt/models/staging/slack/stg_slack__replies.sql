with source as (

    {{ optional_source('raw_slack', 'replies', {
        'channel_id': dbt.type_string(),
        'ts': dbt.type_string(),
        'thread_ts': dbt.type_string(),
        'sent_at': dbt.type_timestamp(),
        'user_id': dbt.type_string(),
        'bot_id': dbt.type_string(),
        'type': dbt.type_string(),
        'subtype': dbt.type_string(),
        'text': dbt.type_string(),
        'text_length': dbt.type_bigint(),
        'reaction_count': dbt.type_bigint(),
        'file_count': dbt.type_bigint(),
        'edited_ts': dbt.type_string(),
        'team_id': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(channel_id as {{ dbt.type_string() }}) as channel_id,
        cast(ts as {{ dbt.type_string() }}) as message_ts,
        cast(thread_ts as {{ dbt.type_string() }}) as thread_ts,
        {{ utc_timestamp('sent_at') }} as sent_at,
        cast(user_id as {{ dbt.type_string() }}) as author_id,
        cast(bot_id as {{ dbt.type_string() }}) as bot_id,
        cast(type as {{ dbt.type_string() }}) as type,
        cast(subtype as {{ dbt.type_string() }}) as subtype,
        cast(text as {{ dbt.type_string() }}) as text,
        cast(text_length as {{ dbt.type_bigint() }}) as text_length,
        cast(reaction_count as {{ dbt.type_bigint() }}) as reactions,
        cast(file_count as {{ dbt.type_bigint() }}) as files,
        cast(edited_ts as {{ dbt.type_string() }}) as edited_ts,
        cast(team_id as {{ dbt.type_string() }}) as team_id
    from source

)

select * from renamed
