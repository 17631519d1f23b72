with stripe_customers as (

    select * from {{ ref('stg_stripe__customers') }}

),

months as (

    select * from {{ ref('mrr_by_customer_month') }}
    where month = {{ month_of(local_date(as_of())) }}

),

matches as (

    select distinct
        customer_id,
        system,
        match
    from {{ ref('int_core__matches') }}

),

product as (

    select * from {{ ref('int_core__product_accounts') }}

),

crm as (

    select * from {{ ref('int_core__crm_accounts') }}

),

support as (

    select * from {{ ref('int_core__support_accounts') }}

),

-- One reason each: a customer's records of one system are all taken for the same one.
found as (

    select
        customer_id,
        max(case when system = 'product' then match end) as product_match,
        max(case when system = 'hubspot' then match end) as hubspot_match,
        max(case when system = 'intercom' then match end) as intercom_match
    from matches
    group by customer_id

),

final as (

    select
        stripe_customers.customer_id,
        stripe_customers.name as customer,
        stripe_customers.email,
        stripe_customers.created_at,
        coalesce(stripe_customers.is_deleted, false) as is_deleted,
        '{{ var("reporting_currency") }}' as currency,
        coalesce(months.mrr, cast(0 as {{ type_money() }})) as mrr,
        coalesce(months.customers, 0) = 1 as is_customer,

        {{ match_word('found.product_match', 'raw_postgres', 'workspaces') }} as product_match,
        product.workspace_id,
        cast(product.workspaces as {{ dbt.type_int() }}) as workspaces,
        product.plan,
        cast(product.seats as {{ dbt.type_int() }}) as seats,
        coalesce(product.last_seen_at, support.last_seen_at) as last_seen_at,

        {{ match_word('found.hubspot_match', 'raw_hubspot', 'companies') }} as hubspot_match,
        crm.company_id as hubspot_company_id,
        crm.company as hubspot_company,
        crm.owner,
        {% if has_raw_table('raw_hubspot', 'deals') and has_raw_table('raw_hubspot', 'associations') -%}
            cast(crm.open_deals as {{ dbt.type_int() }})
        {%- else -%}
            cast(null as {{ dbt.type_int() }})
        {%- endif %} as open_deals,
        {% if has_raw_table('raw_hubspot', 'deals') and has_raw_table('raw_hubspot', 'associations') -%}
            {{ cents_to_money('crm.open_deal_cents') }}
        {%- else -%}
            cast(null as {{ type_money() }})
        {%- endif %} as open_deal_amount,

        {{ match_word('found.intercom_match', 'raw_intercom', 'companies') }} as intercom_match,
        support.company_id as intercom_company_id,
        cast(support.companies as {{ dbt.type_int() }}) as intercom_companies,
        {% if has_raw_table('raw_intercom', 'conversations') and has_raw_table('raw_intercom', 'contacts') -%}
            cast(support.open_conversations as {{ dbt.type_int() }})
        {%- else -%}
            cast(null as {{ dbt.type_int() }})
        {%- endif %} as open_conversations
    from stripe_customers
    left join months on stripe_customers.customer_id = months.customer_id
    left join found on stripe_customers.customer_id = found.customer_id
    left join product on stripe_customers.customer_id = product.customer_id
    left join crm on stripe_customers.customer_id = crm.customer_id
    left join support on stripe_customers.customer_id = support.customer_id

)

select * from final
