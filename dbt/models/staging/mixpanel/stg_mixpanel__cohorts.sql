with source as (

    select * from {{ source('raw_mixpanel', 'cohorts') }}

),

renamed as (

    select
        cast(id as {{ dbt.type_bigint() }}) as cohort_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(description as {{ dbt.type_string() }}) as description,
        cast(count as {{ dbt.type_bigint() }}) as users,
        cast(is_visible as {{ dbt.type_bigint() }}) as is_visible,
        cast(created as {{ dbt.type_string() }}) as created_text,
        cast(project_id as {{ dbt.type_bigint() }}) as project_id
    from source

)

select * from renamed
