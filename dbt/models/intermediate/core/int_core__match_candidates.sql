with stripe_customers as (

    select
        customer_id,
        {{ plain_email('email') }} as email,
        {{ company_domain_of_email('email') }} as domain
    from {{ ref('stg_stripe__customers') }}

),

workspaces as (

    select * from {{ ref('stg_postgres__workspaces') }}

),

users as (

    select
        workspace_id,
        {{ plain_email('email') }} as email
    from {{ ref('stg_postgres__users') }}
    where deleted_at is null

),

hubspot_companies as (

    select
        company_id,
        stripe_customer_id,
        {{ plain_domain('domain') }} as domain
    from {{ ref('stg_hubspot__companies') }}
    where not coalesce(is_archived, false)

),

hubspot_contacts as (

    select
        company_id,
        {{ plain_email('email') }} as email
    from {{ ref('stg_hubspot__contacts') }}
    where not coalesce(is_archived, false)

),

intercom_companies as (

    select
        company_id,
        external_id,
        stripe_customer_id,
        {{ plain_domain('website') }} as domain
    from {{ ref('stg_intercom__companies') }}

),

intercom_contacts as (

    select * from {{ ref('int_core__intercom_contact_companies') }}

),

-- Every reason to take a record of another system for a customer; the lower the strength, the better.
by_reason as (

    select
        stripe_customers.customer_id,
        'product' as system,
        workspaces.workspace_id as record_id,
        'stripe id' as reason,
        1 as strength
    from stripe_customers
    inner join workspaces on stripe_customers.customer_id = workspaces.customer_id

    union all

    select
        stripe_customers.customer_id,
        'product' as system,
        users.workspace_id as record_id,
        'e-mail' as reason,
        4 as strength
    from stripe_customers
    inner join users on stripe_customers.email = users.email
    inner join workspaces on users.workspace_id = workspaces.workspace_id

    union all

    select
        stripe_customers.customer_id,
        'hubspot' as system,
        hubspot_companies.company_id as record_id,
        'stripe id' as reason,
        1 as strength
    from stripe_customers
    inner join hubspot_companies on stripe_customers.customer_id = hubspot_companies.stripe_customer_id

    union all

    select
        stripe_customers.customer_id,
        'hubspot' as system,
        hubspot_companies.company_id as record_id,
        'domain' as reason,
        3 as strength
    from stripe_customers
    inner join hubspot_companies on stripe_customers.domain = hubspot_companies.domain

    union all

    select
        stripe_customers.customer_id,
        'hubspot' as system,
        hubspot_companies.company_id as record_id,
        'e-mail' as reason,
        4 as strength
    from stripe_customers
    inner join hubspot_contacts on stripe_customers.email = hubspot_contacts.email
    inner join hubspot_companies on hubspot_contacts.company_id = hubspot_companies.company_id

    union all

    select
        stripe_customers.customer_id,
        'intercom' as system,
        intercom_companies.company_id as record_id,
        'stripe id' as reason,
        1 as strength
    from stripe_customers
    inner join intercom_companies on stripe_customers.customer_id = intercom_companies.stripe_customer_id

    union all

    select
        stripe_customers.customer_id,
        'intercom' as system,
        intercom_companies.company_id as record_id,
        'workspace' as reason,
        2 as strength
    from stripe_customers
    inner join workspaces on stripe_customers.customer_id = workspaces.customer_id
    inner join intercom_companies on workspaces.workspace_id = intercom_companies.external_id

    union all

    select
        stripe_customers.customer_id,
        'intercom' as system,
        intercom_companies.company_id as record_id,
        'domain' as reason,
        3 as strength
    from stripe_customers
    inner join intercom_companies on stripe_customers.domain = intercom_companies.domain

    union all

    select
        stripe_customers.customer_id,
        'intercom' as system,
        intercom_companies.company_id as record_id,
        'e-mail' as reason,
        4 as strength
    from stripe_customers
    inner join intercom_contacts on stripe_customers.email = intercom_contacts.email
    inner join intercom_companies on intercom_contacts.company_id = intercom_companies.company_id

),

final as (

    select distinct
        customer_id,
        system,
        record_id,
        reason,
        strength
    from by_reason

)

select * from final
