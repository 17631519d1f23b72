{#- People: their names, and what their mail addresses say about the company they belong to. -#}

{% macro plain_email(column) -%}
    nullif(lower(trim({{ column }})), '')
{%- endmacro %}

{#- "https://www.Acme.com/about" and "acme.com" are both acme.com. -#}
{% macro plain_domain(column) -%}
    {%- set bare -%}
        replace(replace(lower(trim({{ column }})), 'https://', ''), 'http://', '')
    {%- endset -%}
    {%- set host -%} {{ dbt.split_part(bare, "'/'", 1) }} {%- endset -%}
    nullif(case when {{ host }} like 'www.%' then substring({{ host }}, 5) else {{ host }} end, '')
{%- endmacro %}

{#- The domain of a mail address; null for the large providers, whose domains say nothing about a company. -#}
{% macro company_domain_of_email(column) -%}
    {%- set domain -%} {{ dbt.split_part("lower(trim(" ~ column ~ "))", "'@'", 2) }} {%- endset -%}
    nullif(
        case
            when {{ domain }} in (
                'gmail.com', 'googlemail.com', 'outlook.com', 'hotmail.com', 'live.com', 'msn.com', 'yahoo.com',
                'icloud.com', 'me.com', 'aol.com', 'gmx.de', 'gmx.net', 'web.de', 't-online.de', 'proton.me',
                'protonmail.com', 'mail.com', 'zoho.com', 'yandex.com', 'qq.com', '163.com'
            ) then ''
            else {{ domain }}
        end, ''
    )
{%- endmacro %}

{#- A person as people call her: first and last name, else the address. -#}
{% macro person_name(first_name, last_name, email) -%}
    coalesce(nullif(trim(coalesce({{ first_name }}, '') || ' ' || coalesce({{ last_name }}, '')), ''), {{ email }})
{%- endmacro %}
