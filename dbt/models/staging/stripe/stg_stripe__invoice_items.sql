with source as (

    {{ optional_source('raw_stripe', 'invoice_items', {
        'id': dbt.type_string(),
        'created': dbt.type_timestamp(),
        'customer_id': dbt.type_string(),
        'subscription_id': dbt.type_string(),
        'subscription_item_id': dbt.type_string(),
        'invoice_id': dbt.type_string(),
        'price_id': dbt.type_string(),
        'amount': dbt.type_bigint(),
        'quantity': dbt.type_bigint(),
        'currency': dbt.type_string(),
        'proration': dbt.type_boolean(),
        'period_start': dbt.type_timestamp(),
        'period_end': dbt.type_timestamp(),
        'unit_amount': dbt.type_bigint(),
        'unit_amount_decimal': dbt.type_numeric(),
        'recurring_interval': dbt.type_string(),
        'recurring_interval_count': dbt.type_bigint(),
        'recurring_usage_type': dbt.type_string(),
        'is_deleted': dbt.type_boolean()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as invoice_item_id,
        {{ utc_timestamp('created') }} as created_at,
        cast(customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(subscription_id as {{ dbt.type_string() }}) as subscription_id,
        cast(subscription_item_id as {{ dbt.type_string() }}) as subscription_item_id,
        cast(invoice_id as {{ dbt.type_string() }}) as invoice_id,
        cast(price_id as {{ dbt.type_string() }}) as price_id,
        cast(amount as {{ dbt.type_bigint() }}) as amount_minor,
        cast(quantity as {{ dbt.type_bigint() }}) as quantity,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(proration as {{ dbt.type_boolean() }}) as is_proration,
        {{ utc_timestamp('period_start') }} as period_start_at,
        {{ utc_timestamp('period_end') }} as period_end_at,
        cast(unit_amount as {{ dbt.type_bigint() }}) as unit_amount_minor,
        {{ exact_number('unit_amount_decimal') }} as unit_amount_minor_exact,
        cast(recurring_interval as {{ dbt.type_string() }}) as recurring_interval,
        cast(recurring_interval_count as {{ dbt.type_bigint() }}) as recurring_interval_count,
        cast(recurring_usage_type as {{ dbt.type_string() }}) as recurring_usage_type,
        cast(is_deleted as {{ dbt.type_boolean() }}) as is_deleted
    from source

)

select * from renamed
