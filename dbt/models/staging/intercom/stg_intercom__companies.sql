with source as (

    {{ optional_source('raw_intercom', 'companies', {
        'id': dbt.type_string(),
        'company_id': dbt.type_string(),
        'name': dbt.type_string(),
        'plan': dbt.type_string(),
        'industry': dbt.type_string(),
        'website': dbt.type_string(),
        'remote_created_at': dbt.type_timestamp(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'last_request_at': dbt.type_timestamp(),
        'size': dbt.type_bigint(),
        'user_count': dbt.type_bigint(),
        'session_count': dbt.type_bigint(),
        'monthly_spend': dbt.type_float(),
        'tag_ids': dbt.type_string(),
        'segment_ids': dbt.type_string(),
        'custom_attributes': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as company_id,
        cast(company_id as {{ dbt.type_string() }}) as external_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(plan as {{ dbt.type_string() }}) as plan,
        cast(industry as {{ dbt.type_string() }}) as industry,
        cast(website as {{ dbt.type_string() }}) as website,
        {{ utc_timestamp('remote_created_at') }} as signed_up_at,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        {{ utc_timestamp('last_request_at') }} as last_request_at,
        cast(size as {{ dbt.type_bigint() }}) as employees,
        cast(user_count as {{ dbt.type_bigint() }}) as users,
        cast(session_count as {{ dbt.type_bigint() }}) as sessions,
        cast(monthly_spend as {{ dbt.type_float() }}) as monthly_spend_note,
        cast(tag_ids as {{ dbt.type_string() }}) as tag_ids,
        cast(segment_ids as {{ dbt.type_string() }}) as segment_ids,
        cast(custom_attributes as {{ dbt.type_string() }}) as custom_attributes,
        {{ json_text('custom_attributes', [var('intercom_stripe_id_attribute')]) }} as stripe_customer_id
    from source

)

select * from renamed
