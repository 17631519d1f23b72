with readings as (

    select * from {{ ref('int_mrr__readings') }}

),

final as (

    select
        customer_id || ':' || cast(month_start as {{ dbt.type_string() }}) || ':' || currency as reading_id,
        customer_id,
        month_start as month,
        currency,
        {{ cents_to_money('invoice_cents') }} as invoice_mrr,
        {{ cents_to_money('subscription_cents') }} as subscription_mrr,
        {{ cents_to_money('invoice_cents - subscription_cents') }} as difference,
        reason,
        reason <> 'unexplained' as is_explained
    from readings
    where reason is not null

)

select * from final
