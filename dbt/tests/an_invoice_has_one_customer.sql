{{ config(tags=['publish_gate']) }}

-- MRR is kept by customer, so what one customer is worth must never hang on rows of another. Whatever makes such a pair
-- is a change of one of the two, so those of customers who have not changed need no second look.
with changed_customers as (

    select customer_id from {{ ref('int_mrr__changed_customers') }}

),

changed_lines as (

    select lines.*
    from {{ ref('stg_stripe__invoice_lines') }} as lines
    inner join changed_customers on lines.customer_id = changed_customers.customer_id

),

changed_invoices as (

    select invoices.*
    from {{ ref('stg_stripe__invoices') }} as invoices
    inner join changed_customers on invoices.customer_id = changed_customers.customer_id

),

changed_subscriptions as (

    select subscriptions.*
    from {{ ref('stg_stripe__subscriptions') }} as subscriptions
    inner join changed_customers on subscriptions.customer_id = changed_customers.customer_id

)

select
    lines.invoice_line_id,
    lines.customer_id,
    changed_invoices.customer_id as other_customer_id
from {{ ref('stg_stripe__invoice_lines') }} as lines
inner join changed_invoices on lines.invoice_id = changed_invoices.invoice_id
where lines.customer_id is null or lines.customer_id <> changed_invoices.customer_id

union all

select
    lines.invoice_line_id,
    lines.customer_id,
    changed_subscriptions.customer_id as other_customer_id
from {{ ref('stg_stripe__invoice_lines') }} as lines
inner join changed_subscriptions on lines.subscription_id = changed_subscriptions.subscription_id
where lines.customer_id is null or lines.customer_id <> changed_subscriptions.customer_id

union all

select
    changed_lines.invoice_line_id,
    changed_lines.customer_id,
    invoices.customer_id as other_customer_id
from changed_lines
inner join {{ ref('stg_stripe__invoices') }} as invoices on changed_lines.invoice_id = invoices.invoice_id
where changed_lines.customer_id <> invoices.customer_id

union all

select
    changed_lines.invoice_line_id,
    changed_lines.customer_id,
    subscriptions.customer_id as other_customer_id
from changed_lines
inner join {{ ref('stg_stripe__subscriptions') }} as subscriptions
    on changed_lines.subscription_id = subscriptions.subscription_id
where changed_lines.customer_id <> subscriptions.customer_id
