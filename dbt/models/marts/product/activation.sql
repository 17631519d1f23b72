{%- set counting = var('activation_features') -%}

with workspaces as (

    select * from {{ ref('stg_postgres__workspaces') }}

),

adoptions as (

    select * from {{ ref('int_usage__feature_adoptions') }}

),

sign_ups as (

    select
        workspace_id,
        created_at,
        {{ month_of(local_date('created_at')) }} as cohort_month,
        {{ days_after('created_at', var('activation_days')) }} as window_ends_at
    from workspaces

),

-- The first uses that count, in their order.
first_uses as (

    select
        sign_ups.workspace_id,
        adoptions.adopted_at,
        row_number() over (
            partition by sign_ups.workspace_id order by adoptions.adopted_at, adoptions.feature
        ) as step
    from sign_ups
    inner join adoptions on sign_ups.workspace_id = adoptions.workspace_id
    where
        adoptions.adopted_at < sign_ups.window_ends_at
        and {{ 'adoptions.feature in (' ~ quoted_list(counting) ~ ')' if counting else 'true' }}

),

activations as (

    select
        workspace_id,
        adopted_at as activated_at
    from first_uses
    where step = {{ var('activation_features_needed') }}

),

-- Whose days are not over yet is neither activated nor not: counting them either way would bend the rate.
judged as (

    select
        sign_ups.cohort_month,
        case when sign_ups.window_ends_at <= {{ as_of() }} then 1 else 0 end as is_decided,
        case
            when sign_ups.window_ends_at <= {{ as_of() }} and activations.activated_at is not null then 1
            else 0
        end as is_activated,
        case
            when sign_ups.window_ends_at > {{ as_of() }} then null
            -- An account that was brought over from elsewhere has been used before it was made here.
            when activations.activated_at < sign_ups.created_at then 0
            else {{ hours_between('sign_ups.created_at', 'activations.activated_at') }} / 24
        end as days_to_activation
    from sign_ups
    left join activations on sign_ups.workspace_id = activations.workspace_id

),

cohorts as (

    select
        cohort_month,
        count(*) as signed_up,
        sum(is_decided) as decided,
        sum(is_activated) as activated,
        {{ median('days_to_activation') }} as median_days_to_activation
    from judged
    group by cohort_month

),

final as (

    select
        cohort_month,
        cast(signed_up as {{ dbt.type_bigint() }}) as signed_up,
        cast(decided as {{ dbt.type_bigint() }}) as decided,
        cast(activated as {{ dbt.type_bigint() }}) as activated,
        cast(activated as {{ dbt.type_float() }}) / nullif(decided, 0) as activation_rate,
        median_days_to_activation,
        decided = signed_up and cohort_month < {{ month_of(local_date(as_of())) }} as is_complete
    from cohorts

)

select * from final
