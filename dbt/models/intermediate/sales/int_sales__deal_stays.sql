{{ config(**laid_out(by_month='entered_at', cluster_by=['deal_id'], data_type='timestamp')) }}

with history as (

    select * from {{ ref('stg_hubspot__deal_stage_history') }}

),

deals as (

    select * from {{ ref('int_sales__deals') }}

),

stages as (

    select * from {{ ref('int_sales__stages') }}

),

final as (

    select
        history.deal_id,
        history.position,
        history.stage_id,
        coalesce(stages.pipeline_id, deals.pipeline_id) as pipeline_id,
        stages.stage,
        -- A stage that is no longer in its pipeline has no step, and counts as open: somebody still worked on the deal.
        coalesce(stages.outcome, 'open') as outcome,
        stages.step,
        history.entered_at,
        lead(history.entered_at) over (partition by history.deal_id order by history.position) as left_at,
        row_number() over (partition by history.deal_id order by history.position desc) as place_from_end
    from history
    inner join deals on history.deal_id = deals.deal_id
    left join stages on history.stage_id = stages.stage_id

)

select * from final
