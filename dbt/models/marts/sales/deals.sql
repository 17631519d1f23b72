{{ config(**laid_out(by_month='created_on', cluster_by=['pipeline_id', 'owner_id'])) }}

with deals as (

    select * from {{ ref('int_sales__deals') }}

),

valued as (

    select * from {{ ref('int_sales__deals_valued') }}

),

owners as (

    select * from {{ ref('stg_hubspot__owners') }}

),

companies as (

    select * from {{ ref('stg_hubspot__companies') }}

),

pipelines as (

    select * from {{ ref('stg_hubspot__pipelines') }}
    where object_type = 'deals'

),

final as (

    select
        deals.deal_id,
        deals.deal_name,
        deals.deal_type,
        deals.pipeline_id,
        coalesce(pipelines.name, deals.pipeline_id) as pipeline,
        deals.stage_id,
        coalesce(deals.stage, deals.stage_id) as stage,
        deals.outcome = 'won' as is_won,
        deals.outcome = 'lost' as is_lost,
        deals.outcome = 'open' as is_open,
        deals.owner_id,
        {{ person_name('owners.first_name', 'owners.last_name', 'owners.email') }} as owner,
        deals.company_id,
        companies.name as company,
        '{{ var("reporting_currency") }}' as currency,
        {{ cents_to_money('valued.cents') }} as amount,
        deals.own_currency,
        {{ cents_to_money('deals.own_cents') }} as own_amount,
        deals.probability,
        deals.created_at,
        valued.created_on,
        valued.closed_at,
        valued.closed_on,
        case when deals.outcome = 'won' then valued.closed_at end as won_at,
        case when deals.outcome = 'won' then valued.closed_on end as won_on,
        case when deals.outcome = 'open' then {{ local_date('deals.close_date_at') }} end as expected_close_on,
        deals.lost_reason,
        {{ days_of_seconds('valued.cycle_seconds') }} as cycle_days,
        case
            when deals.outcome = 'open'
                then {{ days_of_seconds(dbt.datediff('deals.created_at', as_of(), 'second')) }}
        end as open_age_days,
        case
            when deals.outcome = 'open'
                then {{ days_of_seconds(dbt.datediff('valued.in_stage_since_at', as_of(), 'second')) }}
        end as days_in_stage
    from deals
    inner join valued on deals.deal_id = valued.deal_id
    left join owners on deals.owner_id = owners.owner_id
    left join companies on deals.company_id = companies.company_id
    left join pipelines on deals.pipeline_id = pipelines.pipeline_id

)

select * from final
