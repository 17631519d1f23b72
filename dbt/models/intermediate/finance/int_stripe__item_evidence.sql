{{ config(**kept_by_customer()) }}

with lines as (

    select * from {{ ref('int_stripe__recurring_lines') }}
    where {{ of_changed_customers() }}

    union all

    select * from {{ ref('int_stripe__pending_changes') }}
    where {{ of_changed_customers() }}

),

periods as (

    select * from lines
    where not is_change

),

-- When one period was invoiced twice, the invoice that was not dropped counts, then the later one.
ranked_periods as (

    select
        *,
        row_number() over (
            partition by item_key, period_start_at order by is_waived asc, invoiced_at desc, invoice_line_id desc
        ) as place
    from periods

),

-- A change is a credit for what was and a charge for what comes. Charge and credit of the same price and quantity at
-- the same moment cancel out (somebody changed their mind), what is left over is the new state.
change_balances as (

    select
        item_key,
        subscription_id,
        period_start_at,
        price_id,
        quantity,
        sum(case when amount_minor < 0 then -1 else 1 end) as balance
    from lines
    where is_change
    group by item_key, subscription_id, period_start_at, price_id, quantity

),

-- The period that a change falls into: of the same item if it has one, else of another item of the subscription.
changes as (

    select
        lines.*,
        periods.period_start_at as enclosing_start_at,
        periods.period_end_at as enclosing_end_at,
        periods.counted_percent_off as enclosing_percent_off,
        case
            when periods.item_key = lines.item_key and periods.counted_percent_off is null
                then periods.counted_discount_minor
        end as enclosing_discount_minor,
        row_number() over (
            partition by lines.invoice_line_id
            order by
                case when periods.item_key = lines.item_key then 0 else 1 end,
                periods.period_start_at desc,
                periods.invoice_line_id desc
        ) as place
    from lines
    left join periods
        on
            lines.subscription_id = periods.subscription_id
            and lines.period_start_at >= periods.period_start_at
            and lines.period_start_at < periods.period_end_at
            and periods.amount_minor > 0
    where lines.is_change

),

-- Stripe takes a running discount into the amount of a proration without naming it: the amount tells.
charges as (

    select
        changes.*,
        row_number() over (
            partition by changes.item_key, changes.period_start_at
            order by changes.interval_minor desc, changes.invoiced_at desc, changes.invoice_line_id desc
        ) as charge_place,
        {{ hours_between('changes.period_start_at', 'changes.period_end_at') }} as hours_charged,
        {{ hours_between('changes.enclosing_start_at', 'changes.enclosing_end_at') }} as hours_of_period
    from changes
    inner join change_balances
        on
            changes.item_key = change_balances.item_key
            and changes.period_start_at = change_balances.period_start_at
            and changes.price_id = change_balances.price_id
            and changes.quantity = change_balances.quantity
    where
        changes.place = 1
        and changes.amount_minor >= 0
        and change_balances.balance > 0

),

dated_charges as (

    select
        *,
        hours_charged / nullif(hours_of_period, 0) as share_of_period
    from charges
    where charge_place = 1

),

valued_charges as (

    select
        *,
        -- A tiered price has no unit amount: the part that was charged is stretched to the whole period.
        coalesce(interval_minor, cast(round(amount_minor / nullif(share_of_period, 0)) as {{ dbt.type_bigint() }}), 0)
            as full_minor
    from dated_charges

),

discounted_charges as (

    select
        *,
        case
            when discount_minor > 0 and counted_percent_off is not null
                then cast(round(full_minor * counted_percent_off / 100) as {{ dbt.type_bigint() }})
            when discount_minor > 0 and counted_amount_off_minor is not null and counted_amount_off_minor < full_minor
                then counted_amount_off_minor
            when discount_minor > 0
                then cast(round(
                    full_minor * cast(counted_discount_minor as {{ dbt.type_float() }}) / amount_minor
                ) as {{ dbt.type_bigint() }})
            when
                enclosing_percent_off is not null
                and amount_minor <= full_minor * share_of_period * (1 - enclosing_percent_off / 200)
                then cast(round(full_minor * enclosing_percent_off / 100) as {{ dbt.type_bigint() }})
            when enclosing_discount_minor < full_minor then enclosing_discount_minor
            else 0
        end as full_discount_minor
    from valued_charges

),

removals as (

    select
        changes.*,
        row_number() over (
            partition by changes.item_key, changes.period_start_at order by changes.invoice_line_id
        ) as removal_place
    from changes
    inner join change_balances
        on
            changes.item_key = change_balances.item_key
            and changes.period_start_at = change_balances.period_start_at
            and changes.price_id = change_balances.price_id
            and changes.quantity = change_balances.quantity
    where
        changes.place = 1
        and changes.amount_minor < 0
        and change_balances.balance < 0

),

told_apart_charges as (

    select
        discounted_charges.*,
        case when removals.invoice_line_id is null then 0 else 1 end as is_credited
    from discounted_charges
    left join removals
        on
            discounted_charges.item_key = removals.item_key
            and discounted_charges.period_start_at = removals.period_start_at
            and removals.removal_place = 1

),

together as (

    select
        invoice_line_id,
        item_key,
        subscription_id,
        customer_id,
        currency,
        price_id,
        quantity,
        recurring_interval,
        recurring_interval_count,
        period_start_at as starts_at,
        period_end_at as covered_until,
        period_start_at as service_starts_at,
        case when is_waived = 1 then 0 else interval_minor - counted_discount_minor end as net_minor,
        counted_percent_off,
        share_without_tax,
        is_waived,
        'period' as kind,
        2 as precedence
    from ranked_periods
    where place = 1

    union all

    select
        invoice_line_id,
        item_key,
        subscription_id,
        customer_id,
        currency,
        price_id,
        quantity,
        recurring_interval,
        recurring_interval_count,
        period_start_at as starts_at,
        period_end_at as covered_until,
        coalesce(enclosing_start_at, period_start_at) as service_starts_at,
        full_minor - full_discount_minor as net_minor,
        coalesce(counted_percent_off, case when full_discount_minor > 0 then enclosing_percent_off end)
            as counted_percent_off,
        share_without_tax,
        0 as is_waived,
        'change' as kind,
        -- A line of 0 may be the credit for what was free: then a period that begins at that moment is the new state.
        case when full_minor = 0 and is_credited = 0 then 3 else 1 end as precedence
    from told_apart_charges

    union all

    -- Credit alone: the item is gone from here on.
    select
        invoice_line_id,
        item_key,
        subscription_id,
        customer_id,
        currency,
        price_id,
        0 as quantity,
        recurring_interval,
        recurring_interval_count,
        period_start_at as starts_at,
        period_end_at as covered_until,
        period_start_at as service_starts_at,
        0 as net_minor,
        null as counted_percent_off,
        1 as share_without_tax,
        0 as is_waived,
        'removal' as kind,
        4 as precedence
    from removals
    where removal_place = 1

),

placed as (

    select
        *,
        row_number() over (partition by item_key, starts_at order by precedence) as place
    from together
    where starts_at <= {{ as_of() }}

),

final as (

    select
        invoice_line_id,
        item_key,
        subscription_id,
        customer_id,
        currency,
        price_id,
        quantity,
        recurring_interval,
        recurring_interval_count,
        starts_at,
        covered_until,
        service_starts_at,
        counted_percent_off,
        share_without_tax,
        is_waived,
        kind,
        case
            when net_minor <= 0 then 0
            else {{ monthly_cents(
                "cast(round(net_minor * share_without_tax) as " ~ dbt.type_bigint() ~ ")",
                "currency", "recurring_interval", "recurring_interval_count"
            ) }}
        end as mrr_cents
    from placed
    where place = 1

)

select * from final
