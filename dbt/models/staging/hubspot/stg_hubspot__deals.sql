with source as (

    {{ optional_source('raw_hubspot', 'deals', {
        'id': dbt.type_string(),
        'dealname': dbt.type_string(),
        'amount': dbt.type_numeric(),
        'deal_currency_code': dbt.type_string(),
        'dealtype': dbt.type_string(),
        'pipeline': dbt.type_string(),
        'dealstage': dbt.type_string(),
        'hs_deal_stage_probability': dbt.type_float(),
        'closedate': dbt.type_timestamp(),
        'hs_is_closed': dbt.type_boolean(),
        'hs_is_closed_won': dbt.type_boolean(),
        'closed_won_reason': dbt.type_string(),
        'closed_lost_reason': dbt.type_string(),
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
        cast(id as {{ dbt.type_string() }}) as deal_id,
        cast(dealname as {{ dbt.type_string() }}) as name,
        cast(amount as {{ dbt.type_numeric() }}) as amount,
        cast(deal_currency_code as {{ dbt.type_string() }}) as currency_code,
        cast(dealtype as {{ dbt.type_string() }}) as deal_type,
        cast(pipeline as {{ dbt.type_string() }}) as pipeline_id,
        cast(dealstage as {{ dbt.type_string() }}) as stage_id,
        cast(hs_deal_stage_probability as {{ dbt.type_float() }}) as probability,
        {{ utc_timestamp('closedate') }} as close_date_at,
        cast(hs_is_closed as {{ dbt.type_boolean() }}) as is_closed,
        cast(hs_is_closed_won as {{ dbt.type_boolean() }}) as is_closed_won,
        cast(closed_won_reason as {{ dbt.type_string() }}) as won_reason,
        cast(closed_lost_reason as {{ dbt.type_string() }}) as lost_reason,
        cast(hubspot_owner_id as {{ dbt.type_string() }}) as owner_id,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        cast(archived as {{ dbt.type_boolean() }}) as is_archived,
        {{ utc_timestamp('archived_at') }} as archived_at,
        cast(merged_into_id as {{ dbt.type_string() }}) as merged_into_deal_id
    from source

)

select * from renamed
