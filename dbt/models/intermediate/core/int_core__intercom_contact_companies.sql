with contacts as (

    select * from {{ ref('stg_intercom__contacts') }}

),

contact_companies as (

    {{ json_list_elements('contacts', 'contact_id', 'company_ids', 'company_id') }}

),

final as (

    select distinct
        contact_companies.contact_id,
        contact_companies.company_id,
        {{ plain_email('contacts.email') }} as email
    from contact_companies
    inner join contacts on contact_companies.contact_id = contacts.contact_id

)

select * from final
