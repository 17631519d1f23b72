{#- Quotients, rounded once, halves away from zero, in whole numbers: DuckDB divides decimals as floats, and two warehouses
    would differ in the last digit. Null when there is nothing to divide by: not 0, and never infinity. -#}

{#- `part` ÷ `whole` as a fraction with six decimals. Both are counts or money (two decimals), `whole` is not negative. -#}
{% macro share(part, whole) -%}
    cast({{ quotient(part, whole, 1000000) }} as {{ type_share() }})
{%- endmacro %}

{#- `amount` ÷ `number` as money. -#}
{% macro money_each(amount, number) -%}
    cast({{ quotient(amount, number, 100) }} as {{ type_money() }})
{%- endmacro %}

{% macro quotient(part, whole, steps) -%}
    {%- set part_cents = "cast((" ~ part ~ ") * 100 as " ~ dbt.type_bigint() ~ ")" -%}
    {%- set whole_cents = "cast((" ~ whole ~ ") * 100 as " ~ dbt.type_bigint() ~ ")" -%}
    case
        when ({{ whole }}) > 0 then
            cast(
                sign({{ part_cents }}) * {{ rounded_quotient("abs(" ~ part_cents ~ ") * " ~ steps, whole_cents) }}
                as {{ dbt.type_numeric() }}
            ) / {{ steps }}
    end
{%- endmacro %}

{% macro type_share() -%} {{ return(adapter.dispatch('type_share')()) }} {%- endmacro %}
{% macro default__type_share() -%} numeric(18, 6) {%- endmacro %}
