with source as (

    select * from {{ source('raw_stripe', 'customers') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as customer_id,
        {{ utc_timestamp('created') }} as created_at,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(description as {{ dbt.type_string() }}) as description,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(balance as {{ dbt.type_bigint() }}) as balance_minor,
        cast(delinquent as {{ dbt.type_boolean() }}) as is_delinquent,
        cast(metadata as {{ dbt.type_string() }}) as metadata,
        cast(is_deleted as {{ dbt.type_boolean() }}) as is_deleted
    from source

)

select * from renamed
