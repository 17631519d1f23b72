with feature_days as (

    select * from {{ ref('int_usage__feature_days') }}

),

final as (

    select
        workspace_id,
        feature,
        min(first_used_at) as adopted_at,
        min(used_on) as adopted_on
    from feature_days
    where workspace_id is not null
    group by workspace_id, feature

)

select * from final
