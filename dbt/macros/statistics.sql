{#- How many standard errors to go so that one of `comparisons` differences that are all chance looks real in one case
    of twenty (Bonferroni): 1.96 for one. Abramowitz and Stegun 26.2.23, good to 0.0005. -#}
{% macro standard_errors_for(comparisons) -%}
    {%- set root = "sqrt(2 * ln((" ~ comparisons ~ ") / 0.025))" -%}
    ({{ root }} - (2.515517 + 0.802853 * {{ root }} + 0.010328 * power({{ root }}, 2))
    / (1 + 1.432788 * {{ root }} + 0.189269 * power({{ root }}, 2) + 0.001308 * power({{ root }}, 3)))
{%- endmacro %}

{#- Between which rates a rate lies when something was counted `count` times in `exposure`, `errors` standard errors
    wide (1.96: with 95 % confidence). Byar's approximation of the exact Poisson limits, good from the first case on
    (Breslow and Day 1987, volume II, p. 69). -#}
{% macro rate_at_least(count, exposure, errors) -%}
    {%- set root = "1 - 1 / (9.0 * " ~ count ~ ") - " ~ errors ~ " / (3 * sqrt(" ~ count ~ "))" -%}
    case
        when {{ count }} = 0 then 0
        when {{ root }} < 0 then 0
        else {{ count }} * power({{ root }}, 3) / {{ exposure }}
    end
{%- endmacro %}

{% macro rate_at_most(count, exposure, errors) -%}
    ({{ count }} + 1)
    * power(1 - 1 / (9.0 * ({{ count }} + 1)) + {{ errors }} / (3 * sqrt({{ count }} + 1)), 3) / {{ exposure }}
{%- endmacro %}

{#- A share (0.1234) as people write it: 12.3. -#}
{% macro percent_text(column) -%}
    {{ return(adapter.dispatch('percent_text')(column)) }}
{%- endmacro %}

{% macro default__percent_text(column) -%}
    cast(cast(100 * ({{ column }}) as numeric(6, 1)) as {{ dbt.type_string() }})
{%- endmacro %}

{% macro bigquery__percent_text(column) -%}
    format('%.1f', 100 * ({{ column }}))
{%- endmacro %}
