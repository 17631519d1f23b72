{{ config(**laid_out(by_month='day', cluster_by=['channel_id'])) }}

with posts as (

    select * from {{ ref('int_slack__posts') }}

),

channels as (

    select * from {{ ref('stg_slack__channels') }}

),

counted as (

    select
        sent_on,
        channel_id,
        sum(case when kind = 'message' and not is_by_bot then 1 else 0 end) as messages,
        sum(case when kind = 'reply' and not is_by_bot then 1 else 0 end) as thread_replies,
        sum(case when not is_by_bot then reactions else 0 end) as reactions,
        count(distinct case when not is_by_bot then author_id end) as authors,
        sum(case when is_by_bot then 1 else 0 end) as bot_messages,
        sum(case when is_by_bot then reactions else 0 end) as bot_reactions
    from posts
    group by sent_on, channel_id

),

final as (

    select
        {{ dbt.concat(["counted.channel_id", "':'", "cast(counted.sent_on as " ~ dbt.type_string() ~ ")"]) }}
            as channel_day_id,
        counted.sent_on as day,
        counted.channel_id,
        coalesce(channels.channel_name, counted.channel_id) as channel_name,
        cast(counted.messages as {{ dbt.type_bigint() }}) as messages,
        cast(counted.thread_replies as {{ dbt.type_bigint() }}) as thread_replies,
        cast(counted.reactions as {{ dbt.type_bigint() }}) as reactions,
        cast(counted.authors as {{ dbt.type_bigint() }}) as authors,
        cast(counted.bot_messages as {{ dbt.type_bigint() }}) as bot_messages,
        cast(counted.bot_reactions as {{ dbt.type_bigint() }}) as bot_reactions,
        counted.sent_on < {{ local_date(as_of()) }} as is_complete
    from counted
    left join channels on counted.channel_id = channels.channel_id

)

select * from final
