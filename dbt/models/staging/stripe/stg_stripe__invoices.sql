with source as (

    select * from {{ source('raw_stripe', 'invoices') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as invoice_id,
        cast(customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(subscription_id as {{ dbt.type_string() }}) as subscription_id,
        cast(number as {{ dbt.type_string() }}) as invoice_number,
        cast(status as {{ dbt.type_string() }}) as status,
        {{ utc_timestamp('created') }} as created_at,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(amount_due as {{ dbt.type_bigint() }}) as amount_due_minor,
        cast(amount_paid as {{ dbt.type_bigint() }}) as amount_paid_minor,
        cast(amount_remaining as {{ dbt.type_bigint() }}) as amount_remaining_minor,
        cast(subtotal as {{ dbt.type_bigint() }}) as subtotal_minor,
        cast(tax as {{ dbt.type_bigint() }}) as tax_minor,
        cast(total as {{ dbt.type_bigint() }}) as total_minor,
        cast(billing_reason as {{ dbt.type_string() }}) as billing_reason,
        {{ utc_timestamp('period_start') }} as period_start_at,
        {{ utc_timestamp('period_end') }} as period_end_at,
        {{ utc_timestamp('due_date') }} as due_at,
        {{ utc_timestamp('finalized_at') }} as finalized_at,
        {{ utc_timestamp('paid_at') }} as paid_at,
        {{ utc_timestamp('voided_at') }} as voided_at,
        {{ utc_timestamp('marked_uncollectible_at') }} as marked_uncollectible_at,
        cast(attempt_count as {{ dbt.type_bigint() }}) as attempt_count,
        {{ utc_timestamp('next_payment_attempt') }} as next_payment_attempt_at,
        cast(discount_coupon_id as {{ dbt.type_string() }}) as discount_coupon_id,
        cast(charge_id as {{ dbt.type_string() }}) as charge_id
    from source

)

select * from renamed
