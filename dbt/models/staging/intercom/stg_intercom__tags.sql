with source as (

    select * from {{ source('raw_intercom', 'tags') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as tag_id,
        cast(name as {{ dbt.type_string() }}) as name
    from source

)

select * from renamed
