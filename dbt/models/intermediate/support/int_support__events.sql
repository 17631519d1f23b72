{{ config(**laid_out(by_month='happened_on', cluster_by=['team_id', 'event'])) }}

with conversations as (

    select * from {{ ref('int_support__conversations') }}

),

changes as (

    select * from {{ ref('int_support__state_changes') }}

),

last_closes as (

    select
        conversation_id,
        max(changed_at) as closed_at
    from changes
    where change = 'closed'
    group by conversation_id

),

events as (

    select
        conversation_id,
        'opened' as event,
        created_at as happened_at,
        cast(null as {{ dbt.type_bigint() }}) as seconds,
        cast(null as {{ dbt.type_bigint() }}) as rating
    from conversations

    union all

    select
        conversation_id,
        'answered' as event,
        first_response_at as happened_at,
        {{ dbt.datediff('created_at', 'first_response_at', 'second') }} as seconds,  -- noqa: LT05
        cast(null as {{ dbt.type_bigint() }}) as rating
    from conversations
    where first_response_at is not null

    union all

    select
        conversation_id,
        change as event,
        changed_at as happened_at,
        cast(null as {{ dbt.type_bigint() }}) as seconds,
        cast(null as {{ dbt.type_bigint() }}) as rating
    from changes

    union all

    -- What is open again was not resolved.
    select
        conversations.conversation_id,
        'resolved' as event,
        last_closes.closed_at as happened_at,
        {{ dbt.datediff('conversations.created_at', 'last_closes.closed_at', 'second') }} as seconds,  -- noqa: LT05
        cast(null as {{ dbt.type_bigint() }}) as rating
    from conversations
    inner join last_closes on conversations.conversation_id = last_closes.conversation_id
    where conversations.state = 'closed'

    union all

    select
        conversation_id,
        'rated' as event,
        rating_requested_at as happened_at,
        cast(null as {{ dbt.type_bigint() }}) as seconds,
        rating
    from conversations
    where rating is not null

),

final as (

    select
        events.conversation_id,
        conversations.team_id,
        events.event,
        {{ local_date('events.happened_at') }} as happened_on,
        events.seconds,
        events.rating
    from events
    inner join conversations on events.conversation_id = conversations.conversation_id

)

select * from final
