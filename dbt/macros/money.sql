{#- Amounts are whole minor units (cents) until a mart shows them: sums are exact, and so is rounding. -#}

{#- Whole quotient of two integers that are not negative, halves rounded up. -#}
{% macro rounded_quotient(numerator, denominator) -%}
    {{ whole_quotient("(2 * (" ~ numerator ~ ") + (" ~ denominator ~ "))", "(2 * (" ~ denominator ~ "))") }}
{%- endmacro %}

{% macro whole_quotient(numerator, denominator) -%}
    {{ return(adapter.dispatch('whole_quotient')(numerator, denominator)) }}
{%- endmacro %}

{% macro default__whole_quotient(numerator, denominator) -%}
    ({{ numerator }} / {{ denominator }})
{%- endmacro %}

{% macro duckdb__whole_quotient(numerator, denominator) -%}
    ({{ numerator }} // {{ denominator }})
{%- endmacro %}

{% macro bigquery__whole_quotient(numerator, denominator) -%}
    div({{ numerator }}, {{ denominator }})
{%- endmacro %}

{#- Hundredths of a currency in one of its minor units: the yen has no minor unit, the dinar a thousandth.
    Lists: Stripe's documentation of zero-decimal and three-decimal currencies. Returns (numerator, denominator). -#}
{% macro hundredths_per_minor_unit(currency) -%}
    case
        when {{ currency }} in (
            'bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'
        ) then 100
        else 1
    end
{%- endmacro %}

{% macro minor_units_per_hundredth(currency) -%}
    case when {{ currency }} in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 10 else 1 end
{%- endmacro %}

{#- What `amount` minor units an interval are worth a month, in hundredths of the currency, rounded once:
    year ÷ 12, month ÷ 1, week × 52 ÷ 12, day × 365 ÷ 12, all ÷ interval_count. -#}
{% macro monthly_cents(amount, currency, interval, interval_count) -%}
    {{ rounded_quotient(
        "(" ~ amount ~ ") * " ~ hundredths_per_minor_unit(currency)
        ~ " * case " ~ interval ~ " when 'week' then 52 when 'day' then 365 else 1 end",
        minor_units_per_hundredth(currency)
        ~ " * case " ~ interval ~ " when 'month' then 1 else 12 end * (" ~ interval_count ~ ")"
    ) }}
{%- endmacro %}

{#- A number with at most `digits` places after the point: BigQuery's CAST knows no such type, so it rounds first. -#}
{% macro decimal_of(expression, digits) -%}
    {{ return(adapter.dispatch('decimal_of')(expression, digits)) }}
{%- endmacro %}

{% macro default__decimal_of(expression, digits) -%}
    cast({{ expression }} as numeric(18, {{ digits }}))
{%- endmacro %}

{% macro bigquery__decimal_of(expression, digits) -%}
    round(cast({{ expression }} as numeric), {{ digits }})
{%- endmacro %}

{#- The type of money. What is not whole cents is brought to them by `decimal_of(…, 2)`, not by a cast. -#}
{% macro type_money() -%} {{ return(adapter.dispatch('type_money')()) }} {%- endmacro %}
{% macro default__type_money() -%} numeric(18, 2) {%- endmacro %}
{% macro bigquery__type_money() -%} numeric {%- endmacro %}

{#- Cents as money in major units: 12345 → 123.45. -#}
{% macro cents_to_money(column) -%}
    {{ decimal_of("cast(" ~ column ~ " as " ~ dbt.type_numeric() ~ ") / 100", 2) }}
{%- endmacro %}

{#- A number with six places after the point. Casting to DuckDB's own large decimal takes microseconds a value, which is
    seconds a million; what fits into eighteen digits (all that is not absurd) goes through a small one first. -#}
{% macro exact_number(column) -%}
    {{ return(adapter.dispatch('exact_number')(column)) }}
{%- endmacro %}

{% macro default__exact_number(column) -%}
    cast({{ column }} as {{ dbt.type_numeric() }})
{%- endmacro %}

{% macro duckdb__exact_number(column) -%}
    coalesce(
        cast(try_cast({{ column }} as decimal(18, 6)) as {{ dbt.type_numeric() }}),
        cast({{ column }} as {{ dbt.type_numeric() }})
    )
{%- endmacro %}
