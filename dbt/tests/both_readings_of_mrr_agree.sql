{{ config(severity='warn') }}

-- What customers are worth by their invoices and by what Stripe said of their subscriptions at the time. Differences of
-- a known kind are in mrr_reading_differences with their reason; here are those that nobody can explain.
select
    customer_id,
    month,
    currency,
    invoice_mrr,
    subscription_mrr
from {{ ref('mrr_reading_differences') }}
where not is_explained
