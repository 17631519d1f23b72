{{ config(materialized='view') }}

with events as (

    select * from {{ ref('stg_mixpanel__events') }}

),

-- Names that begin with $ are Mixpanel's own: page views, log-ins, changes of a profile.
about_the_product as (

    select *
    from events
    where event_name not like '$%'

),

final as (

    select
        {{ dbt.concat(["event_name", "':'", "distinct_id", "':'", "insert_id"]) }} as event_id,
        happened_at,
        -- A device that nobody has logged in on is no user.
        case
            when user_id is not null then user_id
            when distinct_id not like '$device:%' then distinct_id
        end as user_id,
        {{ json_text('properties', [var('mixpanel_workspace_property')]) }} as workspace_id,
        event_name as feature,
        load_id
    from about_the_product

)

select * from final
