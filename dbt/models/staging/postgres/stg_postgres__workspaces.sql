with source as (

    {{ optional_source('raw_postgres', 'workspaces', {
        'id': dbt.type_string(),
        'name': dbt.type_string(),
        'plan': dbt.type_string(),
        'stripe_customer_id': dbt.type_string(),
        'seats': dbt.type_bigint(),
        'mrr_note': dbt.type_numeric(),
        'settings': dbt.type_string(),
        'created_at': dbt.type_timestamp(),
        'updated_at': dbt.type_timestamp()
    }) }}

),

renamed as (

    select
        cast(id as {{ dbt.type_string() }}) as workspace_id,
        cast(name as {{ dbt.type_string() }}) as name,
        cast(plan as {{ dbt.type_string() }}) as plan,
        cast(stripe_customer_id as {{ dbt.type_string() }}) as customer_id,
        cast(seats as {{ dbt.type_bigint() }}) as seats,
        cast(mrr_note as {{ dbt.type_numeric() }}) as mrr_note,
        cast(settings as {{ dbt.type_string() }}) as settings,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at
    from source
    where {{ not_deleted('raw_postgres', 'workspaces') }}

)

select * from renamed
