with matches as (

    select * from {{ ref('int_core__matches') }}
    where system = 'hubspot' and record_id is not null

),

companies as (

    select * from {{ ref('stg_hubspot__companies') }}

),

owners as (

    select * from {{ ref('stg_hubspot__owners') }}

),

deals as (

    select * from {{ ref('int_sales__deals') }}
    where outcome = 'open'

),

valued as (

    select * from {{ ref('int_sales__deals_valued') }}

),

open_deals as (

    select
        deals.company_id,
        count(*) as open_deals,
        sum(valued.cents) as open_deal_cents
    from deals
    inner join valued on deals.deal_id = valued.deal_id
    group by deals.company_id

),

final as (

    select
        matches.customer_id,
        companies.company_id,
        companies.name as company,
        {{ person_name('owners.first_name', 'owners.last_name', 'owners.email') }} as owner,
        coalesce(open_deals.open_deals, 0) as open_deals,
        coalesce(open_deals.open_deal_cents, 0) as open_deal_cents
    from matches
    inner join companies on matches.record_id = companies.company_id
    left join owners on companies.owner_id = owners.owner_id
    left join open_deals on companies.company_id = open_deals.company_id

)

select * from final
