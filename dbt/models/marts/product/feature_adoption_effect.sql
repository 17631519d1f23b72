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
        {%- for group in ['with', 'without'] %}
        exp(-90 * left_{{ group }} / exposure_{{ group }}) as {{ group }}_share,
        {%- for name, errors in [('', '1.96'), ('strict_', 'strict_errors')] %}
        exp(
            -90 * {{ rate_at_most('left_' ~ group, 'exposure_' ~ group, errors) }}
        ) as {{ group }}_{{ name }}low,
        exp(
            -90 * ({{ rate_at_least('left_' ~ group, 'exposure_' ~ group, errors) }})
        ) as {{ group }}_{{ name }}high{{ "," if not loop.last }}
        {%- endfor %}{{ "," if not loop.last }}
        {%- endfor %}
    from with_errors

),

-- The limits of a difference from those of its two parts (Zou and Donner 2008): they need not be symmetrical, and they
-- are wide, not zero, where nobody has left yet.
differences as (

    select
        *,
        with_share - without_share as difference,
        {%- for name in ['', 'strict_'] %}
        with_share - without_share - sqrt(
            power(with_share - with_{{ name }}low, 2) + power(without_{{ name }}high - without_share, 2)
        ) as {{ name }}difference_low,
        with_share - without_share + sqrt(
            power(with_{{ name }}high - with_share, 2) + power(without_share - without_{{ name }}low, 2)
        ) as {{ name }}difference_high{{ "," if not loop.last }}
        {%- endfor %}
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
            order by case when difference_low is null then 1 else 0 end, difference_low desc, feature
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
