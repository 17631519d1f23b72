with lines as (

    select * from {{ ref('stg_stripe__invoice_lines') }}

),

coupons as (

    select * from {{ ref('stg_stripe__coupons') }}

),

named as (

    {{ json_list_elements('lines', 'invoice_line_id', 'discount_coupon_ids', 'coupon_id') }}

),

judged as (

    select
        named.invoice_line_id,
        coupons.percent_off,
        coupons.amount_off_minor,
        -- What the coupon alone would take off: only needed to share out the sum when coupons of both kinds meet.
        coalesce(
            cast(coupons.amount_off_minor as {{ dbt.type_float() }}), lines.amount_minor * coupons.percent_off / 100, 0
        ) as nominal_minor,
        -- A coupon that is no longer at Stripe is taken to last for ever: MRR is rather too low than too high.
        case
            when coalesce(coupons.duration, 'forever') = 'forever' then 1
            when coupons.duration = 'repeating' and '{{ var("mrr_discounts") }}' = 'recurring' then 1
            else 0
        end as is_counted
    from named
    inner join lines on named.invoice_line_id = lines.invoice_line_id
    left join coupons on named.coupon_id = coupons.coupon_id

),

summed as (

    select
        invoice_line_id,
        count(*) as coupons,
        sum(is_counted) as counted_coupons,
        sum(nominal_minor) as nominal_minor,
        sum(nominal_minor * is_counted) as counted_nominal_minor,
        max(percent_off) as percent_off,
        sum(amount_off_minor * is_counted) as counted_amount_off_minor
    from judged
    group by invoice_line_id

),

final as (

    select
        invoice_line_id,
        coupons,
        counted_coupons,
        case
            when counted_coupons = coupons then 1
            when counted_coupons = 0 or nominal_minor = 0 then 0
            else counted_nominal_minor / nominal_minor
        end as counted_share,
        case when coupons = 1 and counted_coupons = 1 then percent_off end as counted_percent_off,
        case when counted_coupons > 0 then counted_amount_off_minor end as counted_amount_off_minor
    from summed

)

select * from final
