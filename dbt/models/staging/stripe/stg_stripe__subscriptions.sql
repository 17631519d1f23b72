with source as (

    select * from {{ source('raw_stripe', 'subscriptions') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as subscription_id,
        cast(customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(status as {{ dbt.type_string() }}) as status,
        {{ utc_timestamp('created') }} as created_at,
        {{ utc_timestamp('start_date') }} as started_at,
        cast(currency as {{ dbt.type_string() }}) as currency,
        {{ utc_timestamp('current_period_start') }} as current_period_start_at,
        {{ utc_timestamp('current_period_end') }} as current_period_end_at,
        {{ utc_timestamp('trial_start') }} as trial_start_at,
        {{ utc_timestamp('trial_end') }} as trial_end_at,
        {{ utc_timestamp('cancel_at') }} as cancel_at,
        cast(cancel_at_period_end as {{ dbt.type_boolean() }}) as is_cancelled_at_period_end,
        {{ utc_timestamp('canceled_at') }} as cancel_requested_at,
        {{ utc_timestamp('ended_at') }} as ended_at,
        cast(pause_behavior as {{ dbt.type_string() }}) as pause_behavior,
        {{ utc_timestamp('pause_resumes_at') }} as pause_resumes_at,
        cast(latest_invoice_id as {{ dbt.type_string() }}) as latest_invoice_id,
        cast(collection_method as {{ dbt.type_string() }}) as collection_method,
        cast(discount_coupon_id as {{ dbt.type_string() }}) as discount_coupon_id,
        {{ utc_timestamp('discount_start') }} as discount_start_at,
        {{ utc_timestamp('discount_end') }} as discount_end_at,
        cast(discount_percent_off as {{ dbt.type_float() }}) as discount_percent_off,
        cast(discount_amount_off as {{ dbt.type_bigint() }}) as discount_amount_off_minor,
        cast(discount_duration as {{ dbt.type_string() }}) as discount_duration,
        cast(metadata as {{ dbt.type_string() }}) as metadata
    from source

)

select * from renamed
