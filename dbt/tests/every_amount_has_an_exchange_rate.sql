{{ config(tags=['publish_gate']) }}

-- Without a rate there is no number in the reporting currency, and leaving a customer out would be a wrong one.
select
    currency,
    min(changed_on) as first_needed_on,
    count(distinct customer_id) as customers
from {{ ref('int_mrr__item_timeline') }}
where mrr_cents is null
group by currency
