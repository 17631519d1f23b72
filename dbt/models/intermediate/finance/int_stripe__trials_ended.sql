with subscriptions as (

    select * from {{ ref('stg_stripe__subscriptions') }}

),

worth as (

    select * from {{ ref('int_mrr__item_timeline') }}

),

trials as (

    select
        subscription_id,
        customer_id,
        trial_start_at,
        -- Who leaves during the trial has ended it.
        case when ended_at < trial_end_at then ended_at else trial_end_at end as trial_ended_at
    from subscriptions
    where trial_end_at is not null

),

-- MRR begins with the first paid invoice that is about something of value: that is the conversion.
first_paid as (

    select
        subscription_id,
        min(changed_at) as converted_at
    from worth
    where mrr_cents > 0
    group by subscription_id

),

final as (

    select
        trials.subscription_id,
        trials.customer_id,
        trials.trial_start_at,
        trials.trial_ended_at,
        {{ local_date('trials.trial_ended_at') }} as trial_ended_on,
        first_paid.converted_at
    from trials
    left join first_paid on trials.subscription_id = first_paid.subscription_id
    where trials.trial_ended_at <= {{ as_of() }}

)

select * from final
