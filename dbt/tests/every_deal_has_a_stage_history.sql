{{ config(severity='warn') }}

-- Such a deal is in the list of deals, but in no count of open deals and in no conversion.
select deals.deal_id
from {{ ref('int_sales__deals') }} as deals
left join {{ ref('int_sales__deal_stays') }} as stays on deals.deal_id = stays.deal_id
where stays.deal_id is null
