{{ config(**laid_out(by_month='changed_at', cluster_by=['conversation_id'], data_type='timestamp')) }}

with conversations as (

    select * from {{ ref('int_support__conversations') }}

),

parts as (

    select * from {{ ref('stg_intercom__conversation_parts') }}
    where state is not null

),

-- Ids are numbers written as text: of two parts of one second the longer, then the larger id is the later one.
ordered as (

    select
        parts.conversation_id,
        parts.created_at,
        parts.state,
        coalesce(
            lag(parts.state) over (
                partition by parts.conversation_id
                order by parts.created_at, length(parts.part_id), parts.part_id
            ), 'open'
        ) as state_before
    from parts

),

changes as (

    select
        conversation_id,
        case when state = 'closed' then 'closed' else 'reopened' end as change,
        created_at as changed_at
    from ordered
    where (state = 'closed') <> (state_before = 'closed')

),

-- Closed, but the part that says so is none of those Intercom handed out.
untold as (

    select
        conversations.conversation_id,
        'closed' as change,
        conversations.last_close_at as changed_at
    from conversations
    left join changes
        on
            conversations.conversation_id = changes.conversation_id
            and changes.change = 'closed'
    where
        conversations.state = 'closed'
        and conversations.last_close_at is not null
        and changes.conversation_id is null

),

final as (

    select
        changes.conversation_id,
        changes.change,
        changes.changed_at
    from changes
    inner join conversations on changes.conversation_id = conversations.conversation_id

    union all

    select
        conversation_id,
        change,
        changed_at
    from untold

)

select * from final
