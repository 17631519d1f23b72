with source as (

    {{ optional_source('raw_intercom', 'teams', {
        'id': dbt.type_string(),
        'name': dbt.type_string(),
        'admin_ids': dbt.type_string(),
        'distribution_method': dbt.type_string()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as team_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(admin_ids as {{ dbt.type_string() }}) as admin_ids,
        cast(distribution_method as {{ dbt.type_string() }}) as distribution_method
    from source

)

select * from renamed
