with source as (

    select * from {{ source('raw_stripe', 'products') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as product_id,
        {{ utc_timestamp('created') }} as created_at,
        {{ utc_timestamp('updated') }} as updated_at,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(active as {{ dbt.type_boolean() }}) as is_active,
        cast(description as {{ dbt.type_string() }}) as description,
        cast(metadata as {{ dbt.type_string() }}) as metadata,
        cast(is_deleted as {{ dbt.type_boolean() }}) as is_deleted
    from source

)

select * from renamed
