{{ config(tags=['publish_gate']) }}

-- Without a rate a deal has no amount in the reporting currency, and leaving it out would make a wrong average.
select
    own_currency,
    min(created_on) as first_needed_on,
    count(*) as deals
from {{ ref('int_sales__deals_valued') }}
where own_cents is not null and cents is null
group by own_currency
