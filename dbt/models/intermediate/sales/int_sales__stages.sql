with stages as (

    select * from {{ ref('stg_hubspot__pipeline_stages') }}

),

judged as (

    select
        pipeline_id,
        stage_id,
        name as stage,
        display_order,
        case
            when coalesce(is_closed, probability in (0, 1), false) and probability = 1 then 'won'
            when coalesce(is_closed, probability in (0, 1), false) then 'lost'
            else 'open'
        end as outcome
    from stages
    where
        object_type = 'deals'
        and not coalesce(is_archived, false)

),

-- The way through a pipeline: its open stages in their order, then won. Losing is no step on it.
steps as (

    select
        stage_id,
        row_number() over (
            partition by pipeline_id
            order by case when outcome = 'won' then 1 else 0 end, display_order, stage_id
        ) as step
    from judged
    where outcome <> 'lost'

),

final as (

    select
        judged.stage_id,
        judged.pipeline_id,
        judged.stage,
        judged.outcome,
        steps.step
    from judged
    left join steps on judged.stage_id = steps.stage_id

)

select * from final
