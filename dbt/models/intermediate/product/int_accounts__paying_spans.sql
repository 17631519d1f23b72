with movements as (

    select * from {{ ref('int_mrr__movements') }}

),

workspaces as (

    select * from {{ ref('stg_postgres__workspaces') }}

),

-- Customers whose use nobody can see are no customers without a feature.
observed_customers as (

    select distinct customer_id
    from workspaces
    where customer_id is not null

),

-- An account is won and lost in turns, so its first loss ends what its first win began.
won as (

    select
        customer_id,
        changed_on,
        row_number() over (partition by customer_id order by changed_on, step) as turn
    from movements
    where customer_change = 1

),

lost as (

    select
        customer_id,
        changed_on,
        row_number() over (partition by customer_id order by changed_on, step) as turn
    from movements
    where customer_change = -1

),

spans as (

    select
        won.customer_id,
        won.turn,
        won.changed_on as began_on,
        coalesce(lost.changed_on, {{ local_date(as_of()) }}) as ended_on,
        case when lost.changed_on is not null then 1 else 0 end as times_left
    from won
    left join lost
        on
            won.customer_id = lost.customer_id
            and won.turn = lost.turn

),

measured as (

    select
        *,
        {{ dbt.datediff('began_on', 'ended_on', 'day') }} as days_paying  -- noqa: LT05
    from spans

),

final as (

    select
        measured.customer_id,
        measured.turn,
        measured.began_on,
        measured.ended_on,
        measured.times_left,
        measured.days_paying,
        {{ tenure_month('measured.days_paying') }} as last_tenure_month  -- noqa: LT05
    from measured
    inner join observed_customers on measured.customer_id = observed_customers.customer_id

)

select * from final
