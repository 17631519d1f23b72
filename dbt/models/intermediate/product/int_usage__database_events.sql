{{ config(materialized='view') }}

with events as (

    select * from {{ ref('stg_postgres__events') }}

),

final as (

    select
        cast(event_id as {{ dbt.type_string() }}) as event_id,
        happened_at,
        cast(user_id as {{ dbt.type_string() }}) as user_id,
        workspace_id,
        event_name as feature,
        load_id
    from events

)

select * from final
