{#- A list of strings as SQL writes it: 'a', 'it''s'. Empty: one string that nothing is called. -#}
{% macro quoted_list(strings) -%}
    {%- for string in strings or [''] -%}
        '{{ string | replace("'", "''") }}'{{ ", " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
