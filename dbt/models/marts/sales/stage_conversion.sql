with stays as (

    select * from {{ ref('int_sales__deal_stays') }}

),

deals as (

    select * from {{ ref('int_sales__deals') }}

),

stages as (

    select * from {{ ref('int_sales__stages') }}

),

pipelines as (

    select * from {{ ref('stg_hubspot__pipelines') }}
    where object_type = 'deals'

),

-- A deal that comes back to a stage entered it when it first came.
entries as (

    select
        deal_id,
        pipeline_id,
        stage_id,
        step,
        min(position) as position,
        min(entered_at) as entered_at
    from stays
    where outcome = 'open' and step is not null
    group by deal_id, pipeline_id, stage_id, step

),

-- What came after it in the history, not what the deal has come to. Who jumps over the next stage has got further, too.
advances as (

    select
        entries.deal_id,
        entries.stage_id,
        max(case when later.step > entries.step then 1 else 0 end) as has_moved_on,
        max(case when later.step = entries.step + 1 then 1 else 0 end) as has_entered_next
    from entries
    left join stays as later
        on
            entries.deal_id = later.deal_id
            and entries.pipeline_id = later.pipeline_id
            and entries.position < later.position
    group by entries.deal_id, entries.stage_id

),

judged as (

    select
        entries.pipeline_id,
        entries.stage_id,
        entries.step,
        {{ month_of(local_date('entries.entered_at')) }} as cohort_month,
        advances.has_moved_on,
        advances.has_moved_on - advances.has_entered_next as has_skipped_next,
        case when advances.has_moved_on = 0 and deals.outcome = 'open' then 1 else 0 end as is_undecided
    from entries
    inner join advances
        on
            entries.deal_id = advances.deal_id
            and entries.stage_id = advances.stage_id
    inner join deals on entries.deal_id = deals.deal_id

),

cohorts as (

    select
        pipeline_id,
        stage_id,
        step,
        cohort_month,
        count(*) as deals_entered,
        sum(has_moved_on) as deals_moved_on,
        sum(has_skipped_next) as deals_skipped_next,
        sum(is_undecided) as deals_undecided
    from judged
    group by pipeline_id, stage_id, step, cohort_month

),

final as (

    select
        cohorts.pipeline_id,
        coalesce(pipelines.name, cohorts.pipeline_id) as pipeline,
        cohorts.stage_id,
        stages.stage,
        cast(cohorts.step as {{ dbt.type_int() }}) as stage_number,
        next_stages.stage as next_stage,
        cohorts.cohort_month,
        cast(cohorts.deals_entered as {{ dbt.type_int() }}) as deals_entered,
        cast(cohorts.deals_moved_on as {{ dbt.type_int() }}) as deals_moved_on,
        cast(cohorts.deals_skipped_next as {{ dbt.type_int() }}) as deals_skipped_next,
        cast(cohorts.deals_undecided as {{ dbt.type_int() }}) as deals_undecided,
        cast(cohorts.deals_moved_on as {{ dbt.type_float() }}) / cohorts.deals_entered as conversion
    from cohorts
    inner join stages on cohorts.stage_id = stages.stage_id
    left join stages as next_stages
        on
            cohorts.pipeline_id = next_stages.pipeline_id
            and cohorts.step + 1 = next_stages.step
    left join pipelines on cohorts.pipeline_id = pipelines.pipeline_id

)

select * from final
