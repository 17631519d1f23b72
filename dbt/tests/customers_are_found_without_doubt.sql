{{ config(severity='warn') }}

-- Nobody guesses which record is whose: these customers lack what a system knows of them, until somebody corrects an
-- id, a domain or a double record there.
select
    customer_id,
    product_match,
    hubspot_match,
    intercom_match
from {{ ref('customers') }}
where
    product_match = 'ambiguous'
    or hubspot_match = 'ambiguous'
    or intercom_match = 'ambiguous'
