with compared as (

    select * from {{ ref('int_usage__adopters_compared') }}

),

exposures as (

    select
        *,
        cast(nullif(days_with, 0) as {{ dbt.type_float() }}) as real_days_with,
        cast(nullif(days_without, 0) as {{ dbt.type_float() }}) as real_days_without,
        (days_with + days_without) / cast(nullif(left_with + left_without, 0) as {{ dbt.type_float() }}) as days_for_one
    from compared

),

-- Days, as many as it would take accounts of average age to see as many leave. When nobody has left yet, days are days.
adjusted as (

    select
        *,
        coalesce(case when expected_left_with > 0.000001 then expected_left_with end * days_for_one, real_days_with)
            as exposure_with,
        coalesce(
            case when expected_left_without > 0.000001 then expected_left_without end * days_for_one, real_days_without
        ) as exposure_without
    from exposures

),

with_errors as (

    select
        *,
        {{ standard_errors_for('count(*) over ()') }} as strict_errors
    from adjusted

),

-- The chance to still be there after 90 days, at the rate at which accounts left; its 95 % limits; and the limits that
-- have to be met when so many features are looked at at once.
retentions as (

    select
        *,
        {{ share_staying('left_with', 'exposure_with') }} as with_share,
        {{ share_staying_at_least('left_with', 'exposure_with', '1.96') }} as with_low,
        {{ share_staying_at_most('left_with', 'exposure_with', '1.96') }} as with_high,
        {{ share_staying_at_least('left_with', 'exposure_with', 'strict_errors') }} as with_strict_low,
        {{ share_staying_at_most('left_with', 'exposure_with', 'strict_errors') }} as with_strict_high,
        {{ share_staying('left_without', 'exposure_without') }} as without_share,
        {{ share_staying_at_least('left_without', 'exposure_without', '1.96') }} as without_low,
        {{ share_staying_at_most('left_without', 'exposure_without', '1.96') }} as without_high,
        {{ share_staying_at_least('left_without', 'exposure_without', 'strict_errors') }} as without_strict_low,
        {{ share_staying_at_most('left_without', 'exposure_without', 'strict_errors') }} as without_strict_high
    from with_errors

),

differences as (

    select
        *,
        with_share - without_share as difference,
        {{ difference_at_least('with_share', 'with_low', 'without_share', 'without_high') }} as difference_low,
        {{ difference_at_most('with_share', 'with_high', 'without_share', 'without_low') }} as difference_high,
        {{ difference_at_least('with_share', 'with_strict_low', 'without_share', 'without_strict_high') }}
            as strict_difference_low,
        {{ difference_at_most('with_share', 'with_strict_high', 'without_share', 'without_strict_low') }}
            as strict_difference_high
    from retentions

),

judged as (

    select
        *,
        case
            when difference is null then 'cannot be compared'
            when strict_difference_low > 0 then 'more stay'
            when difference_low > 0 then 'perhaps more stay'
            when strict_difference_high < 0 then 'fewer stay'
            when difference_high < 0 then 'perhaps fewer stay'
            else 'no clear difference'
        end as finding
    from differences

),

ranked as (

    select
        *,
        -- By what the difference is at least: a large one among a handful of accounts is no finding.
        row_number() over (
            order by case when difference_low is null then 1 else 0 end asc, difference_low desc, feature asc
        ) as place
    from judged

),

final as (

    select
        feature,
        place,
        accounts_with,
        accounts_without,
        days_with,
        days_without,
        left_with,
        left_without,
        expected_left_with,
        expected_left_without,
        with_share as retention_90d_with,
        without_share as retention_90d_without,
        difference,
        difference_low,
        difference_high,
        exp(-90 * left_with / real_days_with) as plain_retention_90d_with,
        exp(-90 * left_without / real_days_without) as plain_retention_90d_without,
        finding,
        case
            when finding = 'cannot be compared'
                then {{ dbt.concat(["feature", "': all accounts use it or hardly any, so nothing can be compared.'"]) }}
            else
                {{ dbt.concat([
                    "feature", "' is associated with '", percent_text('with_share'),
                    "' % of accounts staying 90 days, against '", percent_text('without_share'),
                    "' % without it: a difference of '", percent_text('difference'),
                    "' points (95 % confidence: '", percent_text('difference_low'), "' to '",
                    percent_text('difference_high'), "'; '",
                    "cast(accounts_with as " ~ dbt.type_string() ~ ")", "' accounts with, '",
                    "cast(accounts_without as " ~ dbt.type_string() ~ ")", "' without). Finding: '", "finding", "'.'"
                ]) }}
        end as sentence
    from ranked

)

select * from final
