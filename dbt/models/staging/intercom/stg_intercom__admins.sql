with source as (

    select * from {{ source('raw_intercom', 'admins') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as admin_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(email as {{ dbt.type_string() }}) as email,
        cast(job_title as {{ dbt.type_string() }}) as job_title,
        cast(team_ids as {{ dbt.type_string() }}) as team_ids,
        cast(has_inbox_seat as {{ dbt.type_boolean() }}) as has_inbox_seat,
        cast(away_mode_enabled as {{ dbt.type_boolean() }}) as is_away,
        cast(away_mode_reassign as {{ dbt.type_boolean() }}) as is_reassigning_while_away
    from source

)

select * from renamed
