with source as (

    select * from {{ source('raw_hubspot', 'tickets') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as ticket_id,
        cast(subject as {{ dbt.type_string() }}) as subject,
        cast(content as {{ dbt.type_string() }}) as content,
        cast(hs_pipeline as {{ dbt.type_string() }}) as pipeline_id,
        cast(hs_pipeline_stage as {{ dbt.type_string() }}) as stage_id,
        cast(hs_ticket_priority as {{ dbt.type_string() }}) as priority,
        cast(hs_ticket_category as {{ dbt.type_string() }}) as category,
        cast(source_type as {{ dbt.type_string() }}) as source_type,
        {{ utc_timestamp('closed_date') }} as closed_at,
        cast(hubspot_owner_id as {{ dbt.type_string() }}) as owner_id,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived,
        {{ utc_timestamp('archived_at') }} as archived_at,
        cast(merged_into_id as {{ dbt.type_string() }}) as merged_into_ticket_id
    from source

)

select * from renamed
