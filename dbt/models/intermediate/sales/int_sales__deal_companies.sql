with ties as (

    select * from {{ ref('stg_hubspot__associations') }}

),

companies as (

    select * from {{ ref('stg_hubspot__companies') }}

),

-- One row a deal and company, however many kinds of tie there are between them.
deal_companies as (

    select
        ties.from_id as deal_id,
        ties.to_id as company_id,
        max(case when ties.category = 'HUBSPOT_DEFINED' and ties.label = 'Primary' then 1 else 0 end) as is_primary
    from ties
    inner join companies on ties.to_id = companies.company_id
    where
        ties.from_type = 'deals'
        and ties.to_type = 'companies'
        and not coalesce(companies.is_archived, false)
    group by ties.from_id, ties.to_id

),

counted as (

    select
        deal_id,
        company_id,
        is_primary,
        count(*) over (partition by deal_id) as companies,
        sum(is_primary) over (partition by deal_id) as primary_companies
    from deal_companies

),

final as (

    select
        deal_id,
        company_id
    from counted
    where
        (is_primary = 1 and primary_companies = 1)
        or companies = 1

)

select * from final
