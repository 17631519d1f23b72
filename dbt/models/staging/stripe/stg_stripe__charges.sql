with source as (

    {{ optional_source('raw_stripe', 'charges', {
        'id': dbt.type_string(),
        'customer_id': dbt.type_string(),
        'invoice_id': dbt.type_string(),
        'created': dbt.type_timestamp(),
        'status': dbt.type_string(),
        'amount': dbt.type_bigint(),
        'amount_refunded': dbt.type_bigint(),
        'currency': dbt.type_string(),
        'paid': dbt.type_boolean(),
        'refunded': dbt.type_boolean(),
        'failure_code': dbt.type_string(),
        'failure_message': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as charge_id,
        cast(customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(invoice_id as {{ dbt.type_string() }}) as invoice_id,
        {{ utc_timestamp('created') }} as created_at,
        cast(status as {{ dbt.type_string() }}) as status,
        cast(amount as {{ dbt.type_bigint() }}) as amount_minor,
        cast(amount_refunded as {{ dbt.type_bigint() }}) as amount_refunded_minor,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(paid as {{ dbt.type_boolean() }}) as is_paid,
        cast(refunded as {{ dbt.type_boolean() }}) as is_refunded,
        cast(failure_code as {{ dbt.type_string() }}) as failure_code,
        cast(failure_message as {{ dbt.type_string() }}) as failure_message
    from source

)

select * from renamed
