with source as (

    select * from {{ source('raw_stripe', 'prices') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as price_id,
        {{ utc_timestamp('created') }} as created_at,
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(active as {{ dbt.type_boolean() }}) as is_active,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(unit_amount as {{ dbt.type_bigint() }}) as unit_amount_minor,
        {{ exact_number('unit_amount_decimal') }} as unit_amount_minor_exact,
        cast(type as {{ dbt.type_string() }}) as price_type,
        cast(billing_scheme as {{ dbt.type_string() }}) as billing_scheme,
        cast(tiers_mode as {{ dbt.type_string() }}) as tiers_mode,
        cast(tiers as {{ dbt.type_string() }}) as tiers,
        cast(recurring_interval as {{ dbt.type_string() }}) as recurring_interval,
        cast(recurring_interval_count as {{ dbt.type_bigint() }}) as recurring_interval_count,
        cast(recurring_usage_type as {{ dbt.type_string() }}) as recurring_usage_type,
        cast(nickname as {{ dbt.type_string() }}) as nickname,
        cast(metadata as {{ dbt.type_string() }}) as metadata
    from source

)

select * from renamed
