with candidates as (

    select * from {{ ref('int_core__match_candidates') }}

),

ranked as (

    select
        *,
        min(strength) over (partition by system, customer_id) as best_of_customer
    from candidates

),

-- What a customer's best reason points to; weaker ones are not looked at any more.
best as (

    select * from ranked
    where strength = best_of_customer

),

-- Who has the best claim to a record, and how many have it.
claims as (

    select
        *,
        min(strength) over (partition by system, record_id) as best_of_record,
        count(*) over (partition by system, record_id, strength) as customers_at_strength,
        count(*) over (partition by system, customer_id) as records
    from best

),

judged as (

    select
        customer_id,
        system,
        record_id,
        reason,
        case
            when strength > best_of_record or customers_at_strength > 1 then 0
            -- One customer may have several workspaces, and each of them a company in Intercom: their ids say so.
            -- A company is in the CRM once; two that claim to be the same customer are somebody's mistake.
            when records = 1 then 1
            when system <> 'hubspot' and strength <= 2 then 1
            else 0
        end as is_certain
    from claims

),

verdicts as (

    select
        *,
        min(is_certain) over (partition by system, customer_id) as are_all_certain
    from judged

),

-- In doubt about one record, in doubt about all of them: half of a customer would be a wrong number, too.
final as (

    select
        customer_id,
        system,
        record_id,
        reason as match
    from verdicts
    where are_all_certain = 1

    union all

    select distinct
        customer_id,
        system,
        cast(null as {{ dbt.type_string() }}) as record_id,
        'ambiguous' as match
    from verdicts
    where are_all_certain = 0

)

select * from final
