{{ config(**laid_out(by_month='created_on', cluster_by=['scope', 'deal_id'])) }}

with deals as (

    select * from {{ ref('int_sales__deals_valued') }}

),

-- Each deal twice: in its pipeline and among all. Medians of pipelines do not add up to a median of all.
final as (

    select
        pipeline_id as scope,
        deal_id,
        outcome,
        cents,
        created_on,
        closed_on,
        cycle_seconds
    from deals

    union all

    select
        'all' as scope,
        deal_id,
        outcome,
        cents,
        created_on,
        closed_on,
        cycle_seconds
    from deals

)

select * from final
