with source as (

    {{ optional_source('raw_slack', 'users', {
        'id': dbt.type_string(),
        'team_id': dbt.type_string(),
        'name': dbt.type_string(),
        'real_name': dbt.type_string(),
        'display_name': dbt.type_string(),
        'email': dbt.type_string(),
        'title': dbt.type_string(),
        'tz': dbt.type_string(),
        'tz_offset': dbt.type_bigint(),
        'is_bot': dbt.type_boolean(),
        'is_app_user': dbt.type_boolean(),
        'is_admin': dbt.type_boolean(),
        'is_owner': dbt.type_boolean(),
        'is_restricted': dbt.type_boolean(),
        'is_deleted': dbt.type_boolean(),
        'updated': dbt.type_timestamp()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as slack_user_id,
        cast(team_id as {{ dbt.type_string() }}) as team_id,
        cast(name as {{ dbt.type_string() }}) as handle,
        cast(real_name as {{ dbt.type_string() }}) as name,
        cast(display_name as {{ dbt.type_string() }}) as display_name,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(title as {{ dbt.type_string() }}) as title,
        cast(tz as {{ dbt.type_string() }}) as time_zone,
        cast(tz_offset as {{ dbt.type_bigint() }}) as utc_offset_seconds,
        cast(is_bot as {{ dbt.type_boolean() }}) as is_bot,
        cast(is_app_user as {{ dbt.type_boolean() }}) as is_app_user,
        cast(is_admin as {{ dbt.type_boolean() }}) as is_admin,
        cast(is_owner as {{ dbt.type_boolean() }}) as is_owner,
        cast(is_restricted as {{ dbt.type_boolean() }}) as is_guest,
        cast(is_deleted as {{ dbt.type_boolean() }}) as has_left,
        {{ utc_timestamp('updated') }} as updated_at
    from source

)

select * from renamed
