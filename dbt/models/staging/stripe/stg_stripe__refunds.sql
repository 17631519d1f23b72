with source as (

    select * from {{ source('raw_stripe', 'refunds') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as refund_id,
        cast(charge_id as {{ dbt.type_string() }}) as charge_id,
        {{ utc_timestamp('created') }} as created_at,
        cast(amount as {{ dbt.type_bigint() }}) as amount_minor,
        cast(currency as {{ dbt.type_string() }}) as currency,
        cast(status as {{ dbt.type_string() }}) as status,
        cast(reason as {{ dbt.type_string() }}) as reason
    from source

)

select * from renamed
