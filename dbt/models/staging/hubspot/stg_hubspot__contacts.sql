with source as (

    {{ optional_source('raw_hubspot', 'contacts', {
        'id': dbt.type_string(),
        'email': dbt.type_string(),
        'firstname': dbt.type_string(),
        'lastname': dbt.type_string(),
        'jobtitle': dbt.type_string(),
        'phone': dbt.type_string(),
        'company': dbt.type_string(),
        'country': dbt.type_string(),
        'lifecyclestage': dbt.type_string(),
        'hs_lead_status': dbt.type_string(),
        'hs_analytics_source': dbt.type_string(),
        'associatedcompanyid': dbt.type_string(),
        'hubspot_owner_id': dbt.type_string(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'archived': dbt.type_boolean(),
        'archived_at': dbt.type_timestamp(),
        'merged_into_id': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as contact_id,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(firstname as {{ dbt.type_string() }}) as first_name,
        cast(lastname as {{ dbt.type_string() }}) as last_name,
        cast(jobtitle as {{ dbt.type_string() }}) as job_title,
        cast(phone as {{ dbt.type_string() }}) as phone,
        cast(company as {{ dbt.type_string() }}) as company_name,
        cast(country as {{ dbt.type_string() }}) as country,
        cast(lifecyclestage as {{ dbt.type_string() }}) as lifecycle_stage,
        cast(hs_lead_status as {{ dbt.type_string() }}) as lead_status,
        cast(hs_analytics_source as {{ dbt.type_string() }}) as original_source,
        cast(associatedcompanyid as {{ dbt.type_string() }}) as company_id,
        cast(hubspot_owner_id as {{ dbt.type_string() }}) as owner_id,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived,
        {{ utc_timestamp('archived_at') }} as archived_at,
        cast(merged_into_id as {{ dbt.type_string() }}) as merged_into_contact_id
    from source

)

select * from renamed
