{#- Quotients, rounded once, halves away from zero, in whole numbers: DuckDB divides decimals as floats, and two warehouses
    would differ in the last digit. Null when there is nothing to divide by: not 0, and never infinity. -#}

{#- `part` ÷ `whole` as a fraction with six decimals. Both are counts or money (two decimals), `whole` is not negative. -#}
{% macro share(part, whole) -%}
    {{ decimal_of(quotient(part, whole, 1000000), 6) }}
{%- endmacro %}

{#- `amount` ÷ `number` as money. -#}
{% macro money_each(amount, number) -%}
    {{ decimal_of(quotient(amount, number, 100), 2) }}
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
