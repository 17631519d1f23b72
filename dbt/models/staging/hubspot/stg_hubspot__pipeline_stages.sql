with source as (

    {{ optional_source('raw_hubspot', 'pipeline_stages', {
        'object_type': dbt.type_string(),
        'pipeline_id': dbt.type_string(),
        'id': dbt.type_string(),
        'label': dbt.type_string(),
        'display_order': dbt.type_bigint(),
        'probability': dbt.type_float(),
        'is_closed': dbt.type_boolean(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'archived': dbt.type_boolean()
    }) }}

),

renamed as (

    select
        cast(object_type as {{ dbt.type_string() }}) as object_type,
        cast(pipeline_id as {{ dbt.type_string() }}) as pipeline_id,
        cast(id as {{ dbt.type_string() }}) as stage_id,
        cast(label as {{ dbt.type_string() }}) as name,
        cast(display_order as {{ dbt.type_bigint() }}) as display_order,
        cast(probability as {{ dbt.type_float() }}) as probability,
        cast(is_closed as {{ dbt.type_boolean() }}) as is_closed,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived
    from source

)

select * from renamed
