{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'append',
    schema='snapshots',
    full_refresh=false
) }}

with subscriptions as (

    select * from {{ ref('snap_stripe__subscriptions') }}

),

final as (

    select
        {{ as_of() }} as looked_at,
        count(*) as subscriptions
    from subscriptions
    where dbt_valid_to is null

)

select * from final
