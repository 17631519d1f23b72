with source as (

    select * from {{ source('raw_slack', 'messages') }}

),

renamed as (

    select
        cast(channel_id as {{ dbt.type_string() }}) as channel_id,
        cast(ts as {{ dbt.type_string() }}) as message_ts,
        {{ utc_timestamp('sent_at') }} as sent_at,
        cast(day as date) as utc_date,
        cast(user_id as {{ dbt.type_string() }}) as author_id,
        cast(bot_id as {{ dbt.type_string() }}) as bot_id,
        cast(type as {{ dbt.type_string() }}) as type,
        cast(subtype as {{ dbt.type_string() }}) as subtype,
        cast(text as {{ dbt.type_string() }}) as text,
        cast(text_length as {{ dbt.type_bigint() }}) as text_length,
        cast(reaction_count as {{ dbt.type_bigint() }}) as reactions,
        cast(file_count as {{ dbt.type_bigint() }}) as files,
        cast(edited_ts as {{ dbt.type_string() }}) as edited_ts,
        cast(team_id as {{ dbt.type_string() }}) as team_id,
        cast(thread_ts as {{ dbt.type_string() }}) as thread_ts,
        cast(reply_count as {{ dbt.type_bigint() }}) as replies,
        cast(reply_users_count as {{ dbt.type_bigint() }}) as repliers,
        cast(latest_reply_ts as {{ dbt.type_string() }}) as latest_reply_ts
    from source

)

select * from renamed
