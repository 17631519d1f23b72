with source as (

    {{ optional_source('raw_hubspot', 'companies', {
        'id': dbt.type_string(),
        'name': dbt.type_string(),
        'domain': dbt.type_string(),
        'industry': dbt.type_string(),
        'country': dbt.type_string(),
        'city': dbt.type_string(),
        'numberofemployees': dbt.type_bigint(),
        'annualrevenue': dbt.type_numeric(),
        'lifecyclestage': dbt.type_string(),
        'hubspot_owner_id': dbt.type_string(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'archived': dbt.type_boolean(),
        'archived_at': dbt.type_timestamp(),
        'merged_into_id': dbt.type_string(),
        '_extra': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as company_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(domain as {{ dbt.type_string() }}) as domain,
        cast(industry as {{ dbt.type_string() }}) as industry,
        cast(country as {{ dbt.type_string() }}) as country,
        cast(city as {{ dbt.type_string() }}) as city,
        cast(numberofemployees as {{ dbt.type_bigint() }}) as employees,
        cast(annualrevenue as {{ dbt.type_numeric() }}) as annual_revenue,
        cast(lifecyclestage as {{ dbt.type_string() }}) as lifecycle_stage,
        cast(hubspot_owner_id as {{ dbt.type_string() }}) as owner_id,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived,
        {{ utc_timestamp('archived_at') }} as archived_at,
        cast(merged_into_id as {{ dbt.type_string() }}) as merged_into_company_id,
        {{ json_text('_extra', ['properties', var('hubspot_stripe_id_property')]) }} as stripe_customer_id
    from source

)

select * from renamed
