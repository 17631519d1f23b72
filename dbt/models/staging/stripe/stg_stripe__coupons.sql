with source as (

    {{ optional_source('raw_stripe', 'coupons', {
        'id': dbt.type_string(),
        'created': dbt.type_timestamp(),
        'name': dbt.type_string(),
        'percent_off': dbt.type_float(),
        'amount_off': dbt.type_bigint(),
        'currency': dbt.type_string(),
        'duration': dbt.type_string(),
        'duration_in_months': dbt.type_bigint(),
        'valid': dbt.type_boolean()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as coupon_id,
        {{ utc_timestamp('created') }} as created_at,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(percent_off as {{ dbt.type_float() }}) as percent_off,
        cast(amount_off as {{ dbt.type_bigint() }}) as amount_off_minor,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(duration as {{ dbt.type_string() }}) as duration,
        cast(duration_in_months as {{ dbt.type_bigint() }}) as duration_in_months,
        cast(valid as {{ dbt.type_boolean() }}) as is_valid
    from source

)

select * from renamed
