with months as (

    select * from {{ ref('mrr_monthly') }}

),

opening as (

    select * from {{ ref('int_mrr__opening_cohorts') }}

),

paying as (

    select
        month,
        count(*) as paying_customers
    from {{ ref('mrr_by_customer_month') }}
    where mrr > 0
    group by month

),

trials as (

    select
        {{ month_of('trial_ended_on') }} as month,
        count(*) as trials_ended,
        count(converted_at) as trials_converted
    from {{ ref('int_stripe__trials_ended') }}
    group by {{ month_of('trial_ended_on') }}

),

joined as (

    select
        months.*,
        coalesce(opening.start_customers, 0) as start_customers,
        opening.kept_and_grown_mrr,
        opening.kept_mrr,
        coalesce(paying.paying_customers, 0) as paying_customers,
        coalesce(trials.trials_ended, 0) as trials_ended,
        coalesce(trials.trials_converted, 0) as trials_converted
    from months
    left join opening on months.month = opening.month
    left join paying on months.month = paying.month
    left join trials on months.month = trials.month

),

churned as (

    select
        *,
        {{ share('lost_customers', 'start_customers') }} as churn_of_start,
        {{ share('lost_customers', 'start_customers + new_customers') }} as churn_of_start_and_new,
        {{ 'start_customers + new_customers' if var('customer_churn_of') == 'start_and_new' else 'start_customers' }}
            as customers_at_risk
    from joined

),

final as (

    select
        month,
        currency,
        start_mrr,
        mrr,
        cast(mrr * 12 as {{ type_money() }}) as arr,
        start_customers,
        customers,
        cast(paying_customers as {{ dbt.type_int() }}) as paying_customers,
        lost_customers,
        {{ share('lost_customers', 'customers_at_risk') }} as customer_churn,
        churn_of_start as customer_churn_of_start,
        churn_of_start_and_new as customer_churn_stripe,
        {{ share('-churned_mrr - contraction_mrr', 'start_mrr') }} as gross_mrr_churn,
        {{ share('-churned_mrr - contraction_mrr - expansion_mrr - reactivated_mrr', 'start_mrr') }}
            as net_mrr_churn,
        {{ share('kept_and_grown_mrr', 'start_mrr') }} as nrr,
        {{ share('kept_mrr', 'start_mrr') }} as grr,
        {{ share('new_mrr + expansion_mrr', '-contraction_mrr - churned_mrr') }} as quick_ratio,
        {{ money_each('mrr', 'paying_customers') }} as arpa,
        -- ARPA ÷ customer churn, without rounding in between.
        {{ money_each('mrr * customers_at_risk', 'paying_customers * lost_customers') }} as ltv,
        cast(trials_ended as {{ dbt.type_int() }}) as trials_ended,
        cast(trials_converted as {{ dbt.type_int() }}) as trials_converted,
        {{ share('trials_converted', 'trials_ended') }} as trial_conversion,
        is_complete
    from churned

)

select * from final
