{{ config(tags=['publish_gate']) }}

-- start + new + expansion + reactivation + contraction + churn + fx = end, to the cent (losses are negative),
-- and a customer with MRR is counted once.
select
    customer_id,
    month,
    start_mrr,
    new_mrr,
    expansion_mrr,
    reactivated_mrr,
    contraction_mrr,
    churned_mrr,
    fx_mrr,
    mrr,
    customers
from {{ ref('mrr_by_customer_month') }}
where
    start_mrr + new_mrr + expansion_mrr + reactivated_mrr + contraction_mrr + churned_mrr + fx_mrr <> mrr
    or customers not in (0, 1)
    or (mrr > 0 and customers <> 1)
