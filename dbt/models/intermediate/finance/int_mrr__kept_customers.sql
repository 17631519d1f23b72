{{ config(**kept_by_customer()) }}

-- Everything that is kept by customer comes before.
-- depends_on: {{ ref('int_mrr__movements') }}
-- depends_on: {{ ref('mrr_by_customer_month') }}
-- depends_on: {{ ref('mrr_invoices') }}

with changed_customers as (

    select * from {{ ref('int_mrr__changed_customers') }}
    where fingerprint is not null

),

blocks as (

    select * from {{ ref('int_stripe__subscription_blocks') }}

),

unbilled as (

    select * from {{ ref('int_stripe__unbilled_items') }}

),

-- What nobody knows the moment of is dated by that of the build, so it is not kept: the next one dates it anew.
dated_by_the_build as (

    select customer_id
    from blocks
    where starts_at = {{ as_of() }}

    union distinct

    select customer_id
    from unbilled
    where starts_at = {{ as_of() }}

),

final as (

    select
        changed_customers.customer_id,
        changed_customers.fingerprint
    from changed_customers
    left join dated_by_the_build on changed_customers.customer_id = dated_by_the_build.customer_id
    where dated_by_the_build.customer_id is null

)

select * from final
