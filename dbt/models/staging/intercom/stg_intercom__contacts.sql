with source as (

    {{ optional_source('raw_intercom', 'contacts', {
        'id': dbt.type_string(),
        'external_id': dbt.type_string(),
        'role': dbt.type_string(),
        'email': dbt.type_string(),
        'phone': dbt.type_string(),
        'name': dbt.type_string(),
        'owner_id': dbt.type_string(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp(),
        'signed_up_at': dbt.type_timestamp(),
        'last_seen_at': dbt.type_timestamp(),
        'last_replied_at': dbt.type_timestamp(),
        'last_contacted_at': dbt.type_timestamp(),
        'last_email_opened_at': dbt.type_timestamp(),
        'last_email_clicked_at': dbt.type_timestamp(),
        'has_hard_bounced': dbt.type_boolean(),
        'marked_email_as_spam': dbt.type_boolean(),
        'unsubscribed_from_emails': dbt.type_boolean(),
        'country': dbt.type_string(),
        'city': dbt.type_string(),
        'language_override': dbt.type_string(),
        'browser': dbt.type_string(),
        'os': dbt.type_string(),
        'company_ids': dbt.type_string(),
        'company_count': dbt.type_bigint(),
        'tag_ids': dbt.type_string(),
        'tag_count': dbt.type_bigint(),
        'custom_attributes': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as contact_id,
        cast(external_id as {{ dbt.type_string() }}) as external_id,
        cast(role as {{ dbt.type_string() }}) as role,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(phone as {{ dbt.type_string() }}) as phone,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(owner_id as {{ dbt.type_string() }}) as owner_id,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        {{ utc_timestamp('signed_up_at') }} as signed_up_at,
        {{ utc_timestamp('last_seen_at') }} as last_seen_at,
        {{ utc_timestamp('last_replied_at') }} as last_replied_at,
        {{ utc_timestamp('last_contacted_at') }} as last_contacted_at,
        {{ utc_timestamp('last_email_opened_at') }} as last_email_opened_at,
        {{ utc_timestamp('last_email_clicked_at') }} as last_email_clicked_at,
        cast(has_hard_bounced as {{ dbt.type_boolean() }}) as has_hard_bounced,
        cast(marked_email_as_spam as {{ dbt.type_boolean() }}) as has_marked_email_as_spam,
        cast(unsubscribed_from_emails as {{ dbt.type_boolean() }}) as is_unsubscribed_from_emails,
        cast(country as {{ dbt.type_string() }}) as country,
        cast(city as {{ dbt.type_string() }}) as city,
        cast(language_override as {{ dbt.type_string() }}) as language_override,
        cast(browser as {{ dbt.type_string() }}) as browser,
        cast(os as {{ dbt.type_string() }}) as os,
        cast(company_ids as {{ dbt.type_string() }}) as company_ids,
        cast(company_count as {{ dbt.type_bigint() }}) as companies,
        cast(tag_ids as {{ dbt.type_string() }}) as tag_ids,
        cast(tag_count as {{ dbt.type_bigint() }}) as tags,
        cast(custom_attributes as {{ dbt.type_string() }}) as custom_attributes
    from source

)

select * from renamed
