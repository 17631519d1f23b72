with source as (

    select * from {{ source('raw_mixpanel', 'profiles') }}

),

renamed as (

    select
        cast(distinct_id as {{ dbt.type_string() }}) as distinct_id,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(first_name as {{ dbt.type_string() }}) as first_name,
        cast(last_name as {{ dbt.type_string() }}) as last_name,
        cast(created as {{ dbt.type_string() }}) as created_text,
        cast(last_seen as {{ dbt.type_string() }}) as last_seen_text,
        cast(city as {{ dbt.type_string() }}) as city,
        cast(region as {{ dbt.type_string() }}) as region,
        cast(country_code as {{ dbt.type_string() }}) as country_code,
        cast(_extra as {{ dbt.type_string() }}) as properties
    from source

)

select * from renamed
