with matches as (

    select * from {{ ref('int_core__matches') }}
    where system = 'intercom' and record_id is not null

),

contacts as (

    select * from {{ ref('stg_intercom__contacts') }}

),

contact_companies as (

    select * from {{ ref('int_core__intercom_contact_companies') }}

),

conversations as (

    select * from {{ ref('stg_intercom__conversations') }}
    where not coalesce(is_deleted, false)

),

customer_contacts as (

    select distinct
        matches.customer_id,
        contact_companies.contact_id
    from matches
    inner join contact_companies on matches.record_id = contact_companies.company_id

),

last_seen as (

    select
        customer_contacts.customer_id,
        max(contacts.last_seen_at) as last_seen_at
    from customer_contacts
    inner join contacts on customer_contacts.contact_id = contacts.contact_id
    group by customer_contacts.customer_id

),

open_conversations as (

    select
        customer_contacts.customer_id,
        count(*) as open_conversations
    from customer_contacts
    inner join conversations on customer_contacts.contact_id = conversations.contact_id
    where conversations.state <> 'closed'
    group by customer_contacts.customer_id

),

companies as (

    select
        customer_id,
        count(*) as companies,
        min(record_id) as first_company_id
    from matches
    group by customer_id

),

final as (

    select
        companies.customer_id,
        companies.companies,
        case when companies.companies = 1 then companies.first_company_id end as company_id,
        last_seen.last_seen_at,
        coalesce(open_conversations.open_conversations, 0) as open_conversations
    from companies
    left join last_seen on companies.customer_id = last_seen.customer_id
    left join open_conversations on companies.customer_id = open_conversations.customer_id

)

select * from final
