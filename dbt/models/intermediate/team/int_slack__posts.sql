{{ config(**laid_out(by_month='sent_on', cluster_by=['channel_id'])) }}

with messages as (

    select * from {{ ref('stg_slack__messages') }}

),

replies as (

    select * from {{ ref('stg_slack__replies') }}

),

users as (

    select * from {{ ref('stg_slack__users') }}

),

-- An answer that was also sent to the channel is an answer; it is among the replies.
together as (

    select
        'message' as kind,
        channel_id,
        message_ts,
        sent_at,
        author_id,
        bot_id,
        subtype,
        reactions
    from messages
    where coalesce(subtype, '') <> 'thread_broadcast'

    union all

    select
        'reply' as kind,
        channel_id,
        message_ts,
        sent_at,
        author_id,
        bot_id,
        subtype,
        reactions
    from replies

),

-- Joined, left, renamed, pinned: Slack notes such things among the messages, and nobody wrote them.
written as (

    select *
    from together
    where subtype is null or subtype in ('file_share', 'me_message', 'thread_broadcast', 'bot_message')

),

final as (

    select
        written.kind,
        written.channel_id,
        written.message_ts,
        written.sent_at,
        {{ local_date('written.sent_at') }} as sent_on,
        written.author_id,
        coalesce(written.reactions, 0) as reactions,
        written.bot_id is not null
        or coalesce(written.subtype, '') = 'bot_message'
        or coalesce(users.is_bot, false) as is_by_bot
    from written
    left join users on written.author_id = users.slack_user_id

)

select * from final
