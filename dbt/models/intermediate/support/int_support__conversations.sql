{{ config(**laid_out(by_month='created_at', cluster_by=['conversation_id'], data_type='timestamp')) }}

with conversations as (

    select * from {{ ref('stg_intercom__conversations') }}

),

parts as (

    select * from {{ ref('stg_intercom__conversation_parts') }}

),

-- What a customer can read: a note is for colleagues, and a bot is nobody who answers.
answers as (

    select
        conversation_id,
        min(created_at) as first_answer_at
    from parts
    where
        author_type = 'admin'
        and (part_type = 'comment' or (part_type in ('close', 'open') and body is not null))
    group by conversation_id

),

answered as (

    select
        conversations.*,
        -- Intercom hands out the newest 500 parts; where there are more, its own note of the first answer counts.
        case
            when coalesce(conversations.has_all_parts, false) then answers.first_answer_at
            else coalesce(conversations.first_admin_reply_at, answers.first_answer_at)
        end as answered_at
    from conversations
    left join answers on conversations.conversation_id = answers.conversation_id

),

final as (

    select
        conversation_id,
        team_id,
        contact_id,
        state,
        created_at,
        -- Who is written to by us waits for no answer.
        case
            when coalesce(author_type, 'user') in ('user', 'lead', 'contact') and answered_at >= created_at
                then answered_at
        end as first_response_at,
        last_close_at,
        rating,
        coalesce(rating_requested_at, last_close_at, created_at) as rating_requested_at
    from answered
    where not coalesce(is_deleted, false)

)

select * from final
