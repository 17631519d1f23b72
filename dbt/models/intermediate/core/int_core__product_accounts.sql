with matches as (

    select * from {{ ref('int_core__matches') }}
    where system = 'product' and record_id is not null

),

workspaces as (

    select * from {{ ref('stg_postgres__workspaces') }}

),

users as (

    select * from {{ ref('stg_postgres__users') }}

),

last_seen as (

    select
        workspace_id,
        max(last_seen_at) as last_seen_at
    from users
    group by workspace_id

),

summed as (

    select
        matches.customer_id,
        count(*) as workspaces,
        min(workspaces.workspace_id) as first_workspace_id,
        min(workspaces.plan) as first_plan,
        max(workspaces.plan) as last_plan,
        sum(workspaces.seats) as seats,
        max(last_seen.last_seen_at) as last_seen_at
    from matches
    inner join workspaces on matches.record_id = workspaces.workspace_id
    left join last_seen on workspaces.workspace_id = last_seen.workspace_id
    group by matches.customer_id

),

final as (

    select
        customer_id,
        workspaces,
        case when workspaces = 1 then first_workspace_id end as workspace_id,
        -- Workspaces on different plans have no plan in common.
        case when first_plan = last_plan then first_plan end as plan,
        seats,
        last_seen_at
    from summed

)

select * from final
