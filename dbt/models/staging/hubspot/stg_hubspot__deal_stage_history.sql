with source as (

    {{ optional_source('raw_hubspot', 'deal_stage_history', {
        'deal_id': dbt.type_string(),
        'position': dbt.type_bigint(),
        'stage_id': dbt.type_string(),
        'entered_at': dbt.type_timestamp(),
        'left_at': dbt.type_timestamp(),
        'source_type': dbt.type_string(),
        'updated_by_user_id': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(deal_id as {{ dbt.type_string() }}) as deal_id,
        cast(position as {{ dbt.type_bigint() }}) as position,
        cast(stage_id as {{ dbt.type_string() }}) as stage_id,
        {{ utc_timestamp('entered_at') }} as entered_at,
        {{ utc_timestamp('left_at') }} as left_at,
        cast(source_type as {{ dbt.type_string() }}) as source_type,
        cast(updated_by_user_id as {{ dbt.type_string() }}) as moved_by_user_id
    from source

)

select * from renamed
