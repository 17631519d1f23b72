{{ config(**laid_out(by_month='event_date', cluster_by=['customer_id'])) }}

with movements as (

    select * from {{ ref('int_mrr__movements') }}

),

final as (

    select
        customer_id || ':' || cast(changed_on as {{ dbt.type_string() }}) || ':' || movement as mrr_event_id,
        customer_id,
        changed_on as event_date,
        movement as event_type,
        {{ cents_to_money('change_cents') }} as mrr_change,
        '{{ var("reporting_currency") }}' as currency,
        {{ cents_to_money('before_cents') }} as mrr_before,
        {{ cents_to_money('after_cents') }} as mrr_after,
        customer_change,
        step as step_in_day
    from movements

)

select * from final
