with source as (

    select * from {{ source('raw_stripe', 'invoice_lines') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as invoice_line_id,
        cast(invoice_id as {{ dbt.type_string() }}) as invoice_id,
        cast(customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(subscription_id as {{ dbt.type_string() }}) as subscription_id,
        cast(subscription_item_id as {{ dbt.type_string() }}) as subscription_item_id,
        cast(price_id as {{ dbt.type_string() }}) as price_id,
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(type as {{ dbt.type_string() }}) as line_type,
        cast(description as {{ dbt.type_string() }}) as description,
        cast(amount as {{ dbt.type_bigint() }}) as amount_minor,
        cast(quantity as {{ dbt.type_bigint() }}) as quantity,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(proration as {{ dbt.type_boolean() }}) as is_proration,
        {{ utc_timestamp('period_start') }} as period_start_at,
        {{ utc_timestamp('period_end') }} as period_end_at,
        {{ utc_timestamp('invoice_created') }} as invoice_created_at,
        cast(discount_amount as {{ dbt.type_bigint() }}) as discount_minor,
        cast(discount_coupon_ids as {{ dbt.type_string() }}) as discount_coupon_ids,
        cast(tax_amount as {{ dbt.type_bigint() }}) as tax_minor,
        cast(unit_amount as {{ dbt.type_bigint() }}) as unit_amount_minor,
        {{ exact_number('unit_amount_decimal') }} as unit_amount_minor_exact,
        cast(recurring_interval as {{ dbt.type_string() }}) as recurring_interval,
        cast(recurring_interval_count as {{ dbt.type_bigint() }}) as recurring_interval_count,
        cast(recurring_usage_type as {{ dbt.type_string() }}) as recurring_usage_type,
        cast(billing_scheme as {{ dbt.type_string() }}) as billing_scheme
    from source

)

select * from renamed
