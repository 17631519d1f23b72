{{ config(**kept_by_customer()) }}

with subscriptions as (

    select * from {{ ref('stg_stripe__subscriptions') }}
    where {{ of_changed_customers() }}

),

invoices as (

    select * from {{ ref('stg_stripe__invoices') }}
    where {{ of_changed_customers() }}

),

lines as (

    select * from {{ ref('int_stripe__recurring_lines') }}
    where {{ of_changed_customers() }}

),

payment_attempts as (

    select * from {{ ref('stg_stripe__charges') }}
    where status = 'failed'

),

last_attempts as (

    select
        invoice_id,
        max(created_at) as attempted_at
    from payment_attempts
    group by invoice_id

),

-- Invoices that are about recurring items, by subscription; those that nobody was asked to pay say nothing here.
recurring_invoices as (

    select
        customer_id,
        subscription_id,
        invoice_id,
        max(case when is_change then 0 else 1 end) as has_period,
        max(case when amount_minor > counted_discount_minor then 1 else 0 end) as is_worth_something
    from lines
    where is_waived = 0
    group by customer_id, subscription_id, invoice_id

),

dated as (

    select
        recurring_invoices.customer_id,
        recurring_invoices.subscription_id,
        recurring_invoices.invoice_id,
        recurring_invoices.has_period,
        recurring_invoices.is_worth_something,
        invoices.status,
        invoices.created_at,
        invoices.amount_due_minor,
        invoices.amount_paid_minor,
        coalesce(invoices.due_at, invoices.finalized_at, invoices.created_at) as due_at,
        case
            when invoices.status = 'paid' then coalesce(invoices.paid_at, invoices.finalized_at, invoices.created_at)
        end as settled_at,
        coalesce(invoices.voided_at, invoices.marked_uncollectible_at) as written_off_at,
        case
            when subscriptions.status = 'unpaid' and invoices.status = 'open'
                then coalesce(last_attempts.attempted_at, {{ as_of() }})
        end as given_up_at
    from recurring_invoices
    inner join invoices on recurring_invoices.invoice_id = invoices.invoice_id
    left join subscriptions on recurring_invoices.subscription_id = subscriptions.subscription_id
    left join last_attempts on recurring_invoices.invoice_id = last_attempts.invoice_id

),

-- Conversion: the first invoice about something of value that was paid.
conversions as (

    select
        customer_id,
        subscription_id,
        min(case when is_worth_something = 1 then settled_at end) as converted_at
    from dated
    group by customer_id, subscription_id

),

payments as (

    select
        subscription_id,
        created_at,
        min(case when amount_paid_minor > 0 then settled_at end) as settled_at
    from dated
    group by subscription_id, created_at

),

-- A later payment says that the customer pays again, whatever became of the older invoice.
later_payments as (

    select
        subscription_id,
        created_at,
        min(settled_at) over (
            partition by subscription_id
            order by created_at desc
            rows between unbounded preceding and 1 preceding
        ) as settled_at
    from payments

),

overdue as (

    select
        dated.customer_id,
        dated.subscription_id,
        -- An invoice for a change in mid-period that is dropped does not end the subscription.
        least(
            {{ days_after('dated.due_at', var('past_due_days')) }},
            coalesce(case when dated.has_period = 1 then dated.written_off_at end, {{ end_of_time() }}),
            coalesce(dated.given_up_at, {{ end_of_time() }})
        ) as starts_at,
        least(
            coalesce(dated.settled_at, {{ end_of_time() }}),
            coalesce(later_payments.settled_at, {{ end_of_time() }}),
            coalesce(case when dated.has_period = 0 then dated.written_off_at end, {{ end_of_time() }})
        ) as ends_at
    from dated
    left join later_payments
        on
            dated.subscription_id = later_payments.subscription_id
            and dated.created_at = later_payments.created_at
    where
        dated.status <> 'draft'
        and dated.amount_due_minor > 0

),

final as (

    select
        customer_id,
        subscription_id,
        'not converted' as reason,
        cast('1970-01-01 00:00:00' as {{ dbt.type_timestamp() }}) as starts_at,
        coalesce(converted_at, {{ end_of_time() }}) as ends_at
    from conversions

    union all

    select
        customer_id,
        subscription_id,
        'overdue' as reason,
        starts_at,
        ends_at
    from overdue
    where
        starts_at < ends_at
        and starts_at <= {{ as_of() }}

    union all

    select
        customer_id,
        subscription_id,
        'ended' as reason,
        coalesce(ended_at, cancel_requested_at) as starts_at,
        {{ end_of_time() }} as ends_at
    from subscriptions
    where status = 'canceled' or ended_at is not null

)

select * from final
