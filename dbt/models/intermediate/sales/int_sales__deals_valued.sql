{{ config(**laid_out(by_month='created_on', cluster_by=['deal_id'])) }}

with deals as (

    select * from {{ ref('int_sales__deals') }}

),

stays as (

    select * from {{ ref('int_sales__deal_stays') }}

),

rates as (

    select * from {{ ref('int_fx__rates') }}

),

last_stays as (

    select * from stays
    where place_from_end = 1

),

closed as (

    select
        deals.*,
        last_stays.entered_at as in_stage_since_at,
        -- The day it came into the stage it is in; what somebody typed in as close date only when no history says it.
        case
            when deals.outcome = 'open' then null
            when last_stays.stage_id = deals.stage_id then last_stays.entered_at
            else deals.close_date_at
        end as closed_at
    from deals
    left join last_stays on deals.deal_id = last_stays.deal_id

),

dated as (

    select
        *,
        {{ local_date('created_at') }} as created_on,
        {{ local_date('closed_at') }} as closed_on,
        case
            when closed_at is null then {{ local_date(as_of()) }} else {{ local_date('closed_at') }}
        end as valued_on
    from closed

),

final as (

    select
        dated.deal_id,
        dated.pipeline_id,
        dated.outcome,
        dated.own_currency,
        dated.own_cents,
        -- No rate, no number: a test refuses what cannot be converted.
        case
            when dated.own_cents = 0 then 0
            else cast(round(dated.own_cents * rates.rate) as {{ dbt.type_bigint() }})
        end as cents,
        dated.created_at,
        dated.created_on,
        dated.closed_at,
        dated.closed_on,
        dated.in_stage_since_at,
        -- What was brought into HubSpot after it had been won has no cycle that anybody knows.
        case
            when dated.outcome = 'won' and dated.closed_at >= dated.created_at
                then {{ dbt.datediff('dated.created_at', 'dated.closed_at', 'second') }}
        end as cycle_seconds
    from dated
    left join rates
        on
            dated.own_currency = rates.currency
            and dated.valued_on >= rates.valid_from
            and dated.valued_on < rates.valid_to

)

select * from final
