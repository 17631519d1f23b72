with source as (

    {{ optional_source('raw_hubspot', 'pipelines', {
        'object_type': dbt.type_string(),
        'id': dbt.type_string(),
        'label': dbt.type_string(),
        'display_order': dbt.type_bigint(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'archived': dbt.type_boolean()
    }) }}

),

renamed as (

    select
        cast(object_type as {{ dbt.type_string() }}) as object_type,
        cast(id as {{ dbt.type_string() }}) as pipeline_id,
        cast(label as {{ dbt.type_string() }}) as name,
        cast(display_order as {{ dbt.type_bigint() }}) as display_order,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived
    from source

)

select * from renamed
