{#- The share of accounts that are still there after 90 days when `left` of them left in `days` days: as it was counted,
    and within the limits of `errors` standard errors (see rate_at_least). -#}
{% macro share_staying(left, days) -%}
    exp(-90 * {{ left }} / {{ days }})
{%- endmacro %}

{% macro share_staying_at_least(left, days, errors) -%}
    exp(-90 * ({{ rate_at_most(left, days, errors) }}))
{%- endmacro %}

{% macro share_staying_at_most(left, days, errors) -%}
    exp(-90 * ({{ rate_at_least(left, days, errors) }}))
{%- endmacro %}

{#- The limits of a difference from those of its two parts (Zou and Donner 2008): they need not be symmetrical, and they
    are wide, not zero, where nobody has left yet. -#}
{% macro difference_at_least(first, first_low, second, second_high) -%}
    {{ first }} - {{ second }}
    - sqrt(power({{ first }} - {{ first_low }}, 2) + power({{ second_high }} - {{ second }}, 2))
{%- endmacro %}

{% macro difference_at_most(first, first_high, second, second_low) -%}
    {{ first }} - {{ second }}
    + sqrt(power({{ first_high }} - {{ first }}, 2) + power({{ second }} - {{ second_low }}, 2))
{%- endmacro %}
