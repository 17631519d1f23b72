with source as (

    {{ optional_source('raw_mixpanel', 'events', {
        'event': dbt.type_string(),
        'distinct_id': dbt.type_string(),
        'insert_id': dbt.type_string(),
        'time': dbt.type_timestamp(),
        'local_date': 'date',
        'reported_time': dbt.type_bigint(),
        'received_at': dbt.type_timestamp(),
        'user_id': dbt.type_string(),
        'device_id': dbt.type_string(),
        'browser': dbt.type_string(),
        'os': dbt.type_string(),
        'device': dbt.type_string(),
        'city': dbt.type_string(),
        'region': dbt.type_string(),
        'country_code': dbt.type_string(),
        'current_url': dbt.type_string(),
        'referrer': dbt.type_string(),
        'library': dbt.type_string(),
        'app_version': dbt.type_string(),
        '_extra': dbt.type_string(),
        '_dlt_load_id': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(event as {{ dbt.type_string() }}) as event_name,
        cast(distinct_id as {{ dbt.type_string() }}) as distinct_id,
        cast(insert_id as {{ dbt.type_string() }}) as insert_id,
        {{ utc_timestamp('time') }} as happened_at,
        cast(local_date as date) as mixpanel_date,
        cast(reported_time as {{ dbt.type_bigint() }}) as reported_time,
        {{ utc_timestamp('received_at') }} as received_at,
        cast(user_id as {{ dbt.type_string() }}) as user_id,
        cast(device_id as {{ dbt.type_string() }}) as device_id,
        cast(browser as {{ dbt.type_string() }}) as browser,
        cast(os as {{ dbt.type_string() }}) as operating_system,
        cast(device as {{ dbt.type_string() }}) as device,
        cast(city as {{ dbt.type_string() }}) as city,
        cast(region as {{ dbt.type_string() }}) as region,
        cast(country_code as {{ dbt.type_string() }}) as country_code,
        cast(current_url as {{ dbt.type_string() }}) as current_url,
        cast(referrer as {{ dbt.type_string() }}) as referrer,
        cast(library as {{ dbt.type_string() }}) as library,
        cast(app_version as {{ dbt.type_string() }}) as app_version,
        cast(_extra as {{ dbt.type_string() }}) as properties,
        cast(_dlt_load_id as {{ dbt.type_string() }}) as load_id
    from source

)

select * from renamed
