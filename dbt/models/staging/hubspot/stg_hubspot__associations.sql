with source as (

    {{ optional_source('raw_hubspot', 'associations', {
        'from_type': dbt.type_string(),
        'from_id': dbt.type_string(),
        'to_type': dbt.type_string(),
        'to_id': dbt.type_string(),
        'category': dbt.type_string(),
        'type_id': dbt.type_bigint(),
        'label': dbt.type_string(),
        'from_updated_at': dbt.type_timestamp()
    }) }}

),

renamed as (

    select
        cast(from_type as {{ dbt.type_string() }}) as from_type,
        cast(from_id as {{ dbt.type_string() }}) as from_id,
        cast(to_type as {{ dbt.type_string() }}) as to_type,
        cast(to_id as {{ dbt.type_string() }}) as to_id,
        cast(category as {{ dbt.type_string() }}) as category,
        cast(type_id as {{ dbt.type_bigint() }}) as type_id,
        cast(label as {{ dbt.type_string() }}) as label,
        {{ utc_timestamp('from_updated_at') }} as from_updated_at
    from source

)

select * from renamed
