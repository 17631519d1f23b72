{{ config(**laid_out(by_month='created_at', cluster_by=['deal_id'], data_type='timestamp')) }}

with deals as (

    select * from {{ ref('stg_hubspot__deals') }}

),

stages as (

    select * from {{ ref('int_sales__stages') }}

),

deal_companies as (

    select * from {{ ref('int_sales__deal_companies') }}

),

final as (

    select
        deals.deal_id,
        deals.name as deal_name,
        deals.deal_type,
        deals.pipeline_id,
        deals.stage_id,
        stages.stage,
        -- A stage that is no longer in its pipeline: HubSpot's own word on the deal counts.
        coalesce(
            stages.outcome,
            case
                when deals.is_closed_won then 'won'
                when deals.is_closed then 'lost'
                else 'open'
            end
        ) as outcome,
        deals.probability,
        coalesce(lower(deals.currency_code), '{{ var("reporting_currency") }}') as own_currency,
        cast(round(deals.amount * 100) as {{ dbt.type_bigint() }}) as own_cents,
        deals.owner_id,
        deal_companies.company_id,
        deals.created_at,
        deals.close_date_at,
        deals.lost_reason
    from deals
    left join stages on deals.stage_id = stages.stage_id
    left join deal_companies on deals.deal_id = deal_companies.deal_id
    where
        not coalesce(deals.is_archived, false)
        and deals.merged_into_deal_id is null

)

select * from final
