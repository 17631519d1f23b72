with source as (

    select * from {{ source('raw_stripe', 'subscription_items') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as subscription_item_id,
        cast(subscription_id as {{ dbt.type_string() }}) as subscription_id,
        cast(price_id as {{ dbt.type_string() }}) as price_id,
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(quantity as {{ dbt.type_bigint() }}) as quantity,
        {{ utc_timestamp('created') }} as created_at,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(unit_amount as {{ dbt.type_bigint() }}) as unit_amount_minor,
        {{ exact_number('unit_amount_decimal') }} as unit_amount_minor_exact,
        cast(recurring_interval as {{ dbt.type_string() }}) as recurring_interval,
        cast(recurring_interval_count as {{ dbt.type_bigint() }}) as recurring_interval_count,
        cast(recurring_usage_type as {{ dbt.type_string() }}) as recurring_usage_type,
        cast(is_deleted as {{ dbt.type_boolean() }}) as is_deleted
    from source

)

select * from renamed
